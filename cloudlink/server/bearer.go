package server

import (
	"errors"
	"net/http"
	"strings"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// resource answers a request of somebody whose token was accepted.
type resource func(w http.ResponseWriter, r *http.Request, who oauth.Access) error

// route is a resource with the scope that it asks for; "" asks for any living token.
type route struct {
	scope  string
	answer resource
}

// guarded lets in who holds a living token with the route's scope, at the pace allowed.
func (s *Server) guarded(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := s.bearer(r)
		if err == nil {
			err = s.admit(who, rt.scope)
		}
		if err != nil {
			challenge(w, err, rt.scope)
			s.fail(w, r, err)
			return
		}
		if err := rt.answer(w, r, who); err != nil {
			s.fail(w, r, err)
		}
	})
}

var (
	errNoToken = refusal(http.StatusUnauthorized, "unauthorized", "send an access token: Authorization: Bearer …")
	errToken   = refusal(http.StatusUnauthorized, "invalid_token",
		"the access token is unknown, expired or revoked: refresh it, or authorise again")
	errScope = refusal(http.StatusForbidden, "insufficient_scope",
		"the access token was not granted the scope that this needs")
)

// bearer finds whose token the request carries, in the header alone (RFC 6750 §2.1).
func (s *Server) bearer(r *http.Request) (oauth.Access, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 512 {
		return oauth.Access{}, errNoToken
	}
	who, err := s.authority.Bearer(r.Context(), account.Secret(strings.TrimSpace(token)))
	if errors.Is(err, oauth.ErrNotFound) {
		return oauth.Access{}, errToken
	}
	if err == nil && s.people.accounts[who.Account].PBX == nil {
		return oauth.Access{}, errToken // the account was taken out of the configuration
	}
	return who, err
}

func (s *Server) admit(who oauth.Access, scope string) error {
	if wait := s.pace.take(string(who.Account) + " " + who.Client); wait > 0 {
		return tooMany(wait)
	}
	if scope != "" && !who.Scope.Has(scope) {
		return errScope
	}
	return nil
}

// challenge adds the header that RFC 6750 §3 asks for.
func challenge(w http.ResponseWriter, err error, scope string) {
	switch {
	case errors.Is(err, errNoToken):
		w.Header().Set("WWW-Authenticate", `Bearer realm="cloudlink"`)
	case errors.Is(err, errToken):
		w.Header().Set("WWW-Authenticate", `Bearer realm="cloudlink", error="invalid_token"`)
	case errors.Is(err, errScope):
		w.Header().Set("WWW-Authenticate", `Bearer realm="cloudlink", error="insufficient_scope", scope="`+scope+`"`)
	}
}
