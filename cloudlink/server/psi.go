package server

import (
	"net/http"
	"slices"
	"strings"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
)

func (s *Server) pbx(who oauth.Access) PBX { return s.people.accounts[who.Account].PBX }

// pbxs answers GET /pbxs: an account has one.
func (s *Server) pbxs(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	q, err := parseList(r)
	if err != nil {
		return err
	}
	one, err := s.pbx(who).PBX(r.Context())
	if err != nil {
		return err
	}
	id := func(p cloudlink.PBX) string { return p.PBXID }
	page, last, err := pageOf(r.Context(), q, fixed([]cloudlink.PBX{one}, id), id, every)
	if err != nil {
		return err
	}
	sendPage(s, w, r, q, page, last)
	return nil
}

// users answers GET /users, of the PSI and of the admin API.
func (s *Server) users(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	q, err := parseList(r)
	if err != nil {
		return err
	}
	id := func(u cloudlink.UserWithEndpoints) string { return u.UserID }
	page, last, err := pageOf(r.Context(), q, s.pbx(who).Users, id, q.matches)
	if err != nil {
		return err
	}
	for i := range page {
		page[i] = s.present(who, page[i], q.expand)
	}
	sendPage(s, w, r, q, page, last)
	return nil
}

// matches applies $filter.
func (q list) matches(u cloudlink.UserWithEndpoints) bool {
	switch q.field {
	case "email":
		return strings.EqualFold(u.Email, q.equals)
	case "extension":
		return u.Extension == q.equals
	}
	return true
}

// present shows a driver's user as a user of this service's account.
func (s *Server) present(who oauth.Access, u cloudlink.UserWithEndpoints, expand bool) cloudlink.UserWithEndpoints {
	u.AccountID = string(who.Account)
	if u.Role == "" {
		u.Role = "user"
	}
	if a, ok := s.people.byEmail[foldEmail(u.Email)]; ok && a.Account == who.Account {
		u.Role = a.Role
	}
	if !expand {
		u.SIPEndpoints = nil
	}
	return u
}

// user answers GET /users/{id}.
func (s *Server) user(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	expand := r.URL.Query().Get("$expand") == "sipendpoints"
	u, err := s.userOf(r, who)
	if err != nil {
		return err
	}
	s.send(w, r, http.StatusOK, s.present(who, u, expand))
	return nil
}

// userOf finds the path's user in the token's account; there is no other way to a user.
func (s *Server) userOf(r *http.Request, who oauth.Access) (cloudlink.UserWithEndpoints, error) {
	id := r.PathValue("id")
	if !plain(id) {
		return cloudlink.UserWithEndpoints{}, notFound()
	}
	return s.pbx(who).User(r.Context(), id)
}

// endpoints answers GET /users/{id}/sipendpoints.
func (s *Server) endpoints(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	q, err := parseList(r)
	if err != nil {
		return err
	}
	u, err := s.userOf(r, who)
	if err != nil {
		return err
	}
	id := func(e cloudlink.SIPEndpoint) string { return e.EndpointID }
	page, last, err := pageOf(r.Context(), q, fixed(sorted(u.SIPEndpoints), id), id, every)
	if err != nil {
		return err
	}
	sendPage(s, w, r, q, page, last)
	return nil
}

func sorted(endpoints []cloudlink.SIPEndpoint) []cloudlink.SIPEndpoint {
	return slices.SortedFunc(slices.Values(endpoints), func(a, b cloudlink.SIPEndpoint) int {
		return strings.Compare(a.EndpointID, b.EndpointID)
	})
}

// endpoint answers GET /users/{id}/sipendpoints/{eid}.
func (s *Server) endpoint(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	e, err := s.endpointOf(r, who)
	if err != nil {
		return err
	}
	s.send(w, r, http.StatusOK, e)
	return nil
}

func (s *Server) endpointOf(r *http.Request, who oauth.Access) (cloudlink.SIPEndpoint, error) {
	u, err := s.userOf(r, who)
	if err != nil {
		return cloudlink.SIPEndpoint{}, err
	}
	for _, e := range u.SIPEndpoints {
		if e.EndpointID == r.PathValue("eid") {
			return e, nil
		}
	}
	return cloudlink.SIPEndpoint{}, notFound()
}

// credential answers GET …/{eid}/credential: the hash of a password. Who read it is kept before it leaves.
func (s *Server) credential(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	e, err := s.endpointOf(r, who)
	if err != nil {
		return err
	}
	c, err := s.pbx(who).Credential(r.Context(), r.PathValue("id"), e.EndpointID)
	if err != nil {
		return err
	}
	if err := s.store.Record(r.Context(), s.deed(r, who, "credential_read", e.EndpointID)); err != nil {
		return err
	}
	s.send(w, r, http.StatusOK, c)
	return nil
}

// rotate answers POST …/{eid}/rotate with the endpoint, whose etag has changed.
func (s *Server) rotate(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	e, err := s.endpointOf(r, who)
	if err != nil {
		return err
	}
	if err := s.store.Record(r.Context(), s.deed(r, who, "credential_rotated", e.EndpointID)); err != nil {
		return err
	}
	if err := s.pbx(who).Rotate(r.Context(), r.PathValue("id"), e.EndpointID); err != nil {
		return err
	}
	return s.endpoint(w, r, who)
}

// deed describes what the holder of a token does.
func (s *Server) deed(r *http.Request, who oauth.Access, action, target string) oauth.AuditEntry {
	return oauth.AuditEntry{
		Account: who.Account, At: s.now(), Actor: who.Subject, Client: who.Client, Action: action, Target: target,
		Correlation: correlation(r.Context()), Remote: sourceOf(r),
	}
}
