package server

import (
	"context"
	"net/http"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// The __Host- prefix binds a cookie to this host over TLS (RFC 6265bis §4.1.3.2). Cookies do not know ports: the names
// keep apart from those of other services on the same host.
const (
	sessionCookie   = "__Host-cloudlink"
	formCookie      = "__Host-cloudlink-form"
	sessionLifetime = time.Hour
)

// signedIn finds who the browser belongs to; ErrNotFound if nobody is signed in.
func (s *Server) signedIn(r *http.Request) (oauth.Session, admin, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return oauth.Session{}, admin{}, oauth.ErrNotFound
	}
	session, err := s.store.Session(r.Context(), account.Secret(cookie.Value).Hash(), s.now())
	if err != nil {
		return oauth.Session{}, admin{}, err
	}
	person, ok := s.people.byID[session.Subject]
	if !ok || person.Account != session.Account {
		return oauth.Session{}, admin{}, oauth.ErrNotFound
	}
	return session, person, nil
}

// showSignIn shows the sign-in page. Its form must come back from the browser that got it: the form's ticket is the
// hash of a cookie, so that nobody can sign another's browser in, and nothing is stored for people who are nobody yet.
func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, ask asking, status int, email, fault string) {
	secret := account.NewToken()
	if cookie, err := r.Cookie(formCookie); err == nil && len(cookie.Value) >= 32 && len(cookie.Value) <= 64 {
		secret = account.Secret(cookie.Value)
	}
	setCookie(w, formCookie, secret)
	s.show(w, r, status, "signin", ask, view{Ticket: formTicket(secret), Email: email, Fault: fault})
}

func formTicket(cookie account.Secret) string {
	return account.Secret("form:" + cookie.Reveal()).Hash()
}

// signIn checks email and password. Every failure looks and takes the same.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, ask asking) {
	email, password := clip(r.PostForm.Get("email"), 256), account.Secret(clip(r.PostForm.Get("password"), 256))
	if !fromOwnForm(r) {
		s.showSignIn(w, r, ask, http.StatusBadRequest, email, "This page was open for too long. Please try again.")
		return
	}
	tries := s.signInTries(r, email)
	if wait := s.attempts.take(tries...); wait > 0 {
		retryAfter(w, wait)
		s.showSignIn(w, r, ask, http.StatusTooManyRequests, email,
			"There were too many attempts. Please wait "+minutes(wait)+" and try again.")
		return
	}
	person, ok, err := s.check(r.Context(), email, password)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if !ok {
		s.log.WarnContext(r.Context(), "sign-in failed", "source", sourceOf(r), "correlation", correlation(r.Context()))
		s.showSignIn(w, r, ask, http.StatusUnprocessableEntity, email, "Email address or password is wrong.")
		return
	}
	s.attempts.giveBack(tries...)
	if err := s.startSession(w, r, person); err != nil {
		s.failPage(w, r, err)
		return
	}
	http.Redirect(w, r, ask.self(), http.StatusSeeOther)
}

// fromOwnForm reports whether the form was shown to this browser.
func fromOwnForm(r *http.Request) bool {
	cookie, err := r.Cookie(formCookie)
	if err != nil {
		return false
	}
	want := account.Secret(formTicket(account.Secret(cookie.Value)))
	return want.Equal(account.Secret(r.PostForm.Get("ticket")))
}

// signInTries limits one address at one source tightly, and all else loosely: others' failures must not lock an
// admin out.
func (s *Server) signInTries(r *http.Request, email string) []allowance {
	source, who := sourceOf(r), account.Secret(foldEmail(email)).Hash()
	return []allowance{
		{"pair " + source + " " + who, s.limits.PerPair}, {"source " + source, s.limits.PerSource},
		{"email " + who, s.limits.PerEmail},
	}
}

func (s *Server) check(ctx context.Context, email string, password account.Secret) (admin, bool, error) {
	person, known := s.people.byEmail[foldEmail(email)]
	hash := &person.hash
	if !known {
		hash = nil
	}
	ok, err := s.passwords.match(ctx, hash, password)
	return person, ok, err
}

// startSession gives the browser a fresh cookie: one fixed in it before sign-in is worth nothing after.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, person admin) error {
	if old, _, err := s.signedIn(r); err == nil {
		if err := s.store.SignOut(r.Context(), old); err != nil {
			return err
		}
	}
	cookie := account.NewToken()
	err := s.store.SignIn(r.Context(), oauth.Session{
		Account: person.Account, Hash: cookie.Hash(), Subject: person.ID, ExpiresAt: s.now().Add(sessionLifetime),
	}, oauth.AuditEntry{
		Account: person.Account, At: s.now(), Actor: person.ID, Action: "sign_in", Correlation: correlation(r.Context()),
		Remote: sourceOf(r),
	})
	if err != nil {
		return err
	}
	setCookie(w, sessionCookie, cookie)
	return nil
}

// signOut ends the session and shows the sign-in page again, for somebody else.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, ask asking) {
	if session, _, err := s.signedIn(r); err == nil {
		if err := s.store.SignOut(r.Context(), session); err != nil {
			s.failPage(w, r, err)
			return
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, ask.self(), http.StatusSeeOther)
}

func setCookie(w http.ResponseWriter, name string, value account.Secret) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value.Reveal(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
