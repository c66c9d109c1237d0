package portal

import (
	"errors"
	"net/http"

	"demarc/internal/access"
	"demarc/internal/account"
)

type signInView struct {
	Token string // to carry on in the form; empty without a link
	Spent bool
}

// signInPage only shows a button: mail scanners follow links, and what they follow must not be used up.
func (s *server) signInPage(w http.ResponseWriter, r *http.Request) {
	body := signInView{Token: r.URL.Query().Get("token")}
	if err := s.show(w, r, access.Principal{}, http.StatusOK, "signin", "Sign in", body); err != nil {
		s.refuse(w, r, access.Principal{}, err)
	}
}

func (s *server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formBody)
	cookie, _, err := s.Access.SignIn(r.Context(), account.Secret(r.PostFormValue("token")), cookieOf(r))
	if errors.Is(err, access.ErrLinkUsed) {
		err = s.show(w, r, access.Principal{}, http.StatusGone, "signin", "This link is used up", signInView{Spent: true})
		if err == nil {
			return
		}
	}
	if err != nil {
		s.refuse(w, r, access.Principal{}, err)
		return
	}
	setCookie(w, cookie, access.SessionLifetime)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if err := s.Access.SignOut(r.Context(), p); err != nil {
		return err
	}
	setCookie(w, "", 0)
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	return nil
}
