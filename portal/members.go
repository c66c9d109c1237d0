package portal

import (
	"net/http"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/store"
)

type membersView struct {
	Members []account.Member
	Roles   []account.Role // that the reader may give
}

func (s *server) members(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ReadMembers); err != nil {
		return err
	}
	all, err := s.Access.Members(r.Context(), p.Account)
	if err != nil {
		return err
	}
	v := membersView{Members: all, Roles: []account.Role{account.User, account.Support}}
	if may(p, access.NameAdmin) {
		v.Roles = append(v.Roles, account.Admin, account.Owner)
	}
	return s.show(w, r, p, http.StatusOK, "members", "Members", v)
}

func (s *server) addMember(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	email, name := r.PostFormValue("email"), r.PostFormValue("name")
	if err := store.CheckText(email, name); err != nil {
		return err
	}
	if _, err := s.Access.AddMember(r.Context(), p, email, name, account.Role(r.PostFormValue("role"))); err != nil {
		return err
	}
	http.Redirect(w, r, "/members", http.StatusSeeOther)
	return nil
}
