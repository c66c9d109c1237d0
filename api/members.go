package api

import (
	"context"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/store"
)

type membersOutput struct {
	Body struct {
		Members []memberBody `json:"members" nullable:"false"`
	}
}

type memberBody struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Role  string `json:"role" enum:"owner,admin,support,user"`
}

type addMemberInput struct {
	Body struct {
		Email string `json:"email" maxLength:"254"`
		Name  string `json:"name,omitempty" maxLength:"200"`
		Role  string `json:"role" enum:"owner,admin,support,user"`
	}
}

type memberOutput struct{ Body memberBody }

func (s *server) memberRoutes() {
	handle(s, route("GET", "/v1/members", "list-members", "List the account's members", "Members", 200, "session"),
		s.members)
	handle(s, route("POST", "/v1/members", "add-member", "Add a member", "Members", 201, "session"), s.addMember)
}

func (s *server) members(ctx context.Context, _ *struct{}) (*membersOutput, error) {
	p, _, err := s.may(ctx, access.ReadMembers)
	if err != nil {
		return nil, err
	}
	all, err := s.Access.Members(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	out := &membersOutput{}
	out.Body.Members = []memberBody{}
	for _, m := range all {
		out.Body.Members = append(out.Body.Members, describeMember(m))
	}
	return out, nil
}

func (s *server) addMember(ctx context.Context, in *addMemberInput) (*memberOutput, error) {
	p, _, err := s.may(ctx, access.AddMember)
	if err != nil {
		return nil, err
	}
	b := in.Body
	if err := store.CheckText(b.Email, b.Name); err != nil {
		return nil, err
	}
	m, err := s.Access.AddMember(ctx, p, b.Email, b.Name, account.Role(b.Role))
	if err != nil {
		return nil, err
	}
	return &memberOutput{Body: describeMember(m)}, nil
}

func describeMember(m account.Member) memberBody {
	return memberBody{ID: string(m.ID), Email: m.Email, Name: m.Name, Role: string(m.Role)}
}
