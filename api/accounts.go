package api

import (
	"context"
	"net/url"
	"time"

	"demarc/internal/access"
	"demarc/store"
)

type accountsOutput struct {
	Body struct {
		Accounts []accountBody `json:"accounts" nullable:"false"`
	}
}

type accountBody struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Domain    string    `json:"domain" doc:"SIP domain"`
	CreatedAt time.Time `json:"createdAt"`
}

type createAccountInput struct {
	Body struct {
		Name   string `json:"name" maxLength:"200"`
		Domain string `json:"domain" maxLength:"253" doc:"SIP domain of the account's AoRs"`
		Owner  string `json:"owner" maxLength:"254" doc:"E-mail address of the owner"`
	}
}

type accountOutput struct{ Body accountBody }

type signInInput struct {
	Body struct {
		Email   string `json:"email" maxLength:"254"`
		Account string `json:"account,omitempty" maxLength:"253" doc:"Id or SIP domain; optional while there is only one"`
	}
}

type signInOutput struct {
	Body struct {
		URL       string    `json:"url" doc:"One use; it is shown this once"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
}

func (s *server) accountRoutes() {
	const tag = "Operator (unix socket only)"
	handle(s, route("GET", "/v1/accounts", "list-accounts", "List accounts", tag, 200), s.accounts)
	handle(s, route("POST", "/v1/accounts", "create-account", "Create an account with its owner", tag, 201),
		s.createAccount)
	handle(s, route("POST", "/v1/sign-in-links", "issue-sign-in-link", "Make a one-time sign-in link", tag, 201), s.signIn)
}

func (s *server) accounts(ctx context.Context, _ *struct{}) (*accountsOutput, error) {
	if _, _, err := s.may(ctx, access.ReadAccounts); err != nil {
		return nil, err
	}
	all, err := s.Access.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	out := &accountsOutput{}
	out.Body.Accounts = []accountBody{}
	for _, a := range all {
		out.Body.Accounts = append(out.Body.Accounts, describeAccount(a))
	}
	return out, nil
}

func (s *server) createAccount(ctx context.Context, in *createAccountInput) (*accountOutput, error) {
	if _, _, err := s.may(ctx, access.CreateAccount); err != nil {
		return nil, err
	}
	a, err := s.Access.CreateAccount(ctx, in.Body.Name, in.Body.Domain, in.Body.Owner)
	if err != nil {
		return nil, err
	}
	return &accountOutput{Body: describeAccount(a)}, nil
}

func (s *server) signIn(ctx context.Context, in *signInInput) (*signInOutput, error) {
	if _, _, err := s.may(ctx, access.IssueSignIn); err != nil {
		return nil, err
	}
	ref := in.Body.Account
	if ref == "" {
		ref = callerOf(ctx).accountRef
	}
	if err := store.CheckText(ref, in.Body.Email); err != nil {
		return nil, err
	}
	a, err := s.Access.Account(ctx, ref)
	if err != nil {
		return nil, err
	}
	token, link, err := s.Access.IssueSignIn(ctx, a.ID, in.Body.Email)
	if err != nil {
		return nil, err
	}
	out := &signInOutput{}
	out.Body.URL = s.ServerURL + "/sign-in?token=" + url.QueryEscape(token.Reveal())
	out.Body.ExpiresAt = link.ExpiresAt
	return out, nil
}

func describeAccount(a access.Account) accountBody {
	return accountBody{ID: string(a.ID), Name: a.Name, Domain: a.Domain, CreatedAt: a.CreatedAt}
}
