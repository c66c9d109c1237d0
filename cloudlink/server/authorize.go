package server

import (
	"errors"
	"net/http"
	"net/url"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// asking is an authorisation request on its way: its client and redirect URI are right, so that a browser may be sent
// back. Fault says what else is wrong with it.
type asking struct {
	params  url.Values
	client  oauth.Client
	request oauth.Request
	fault   *oauth.Error
}

// showAuthorize answers GET /authorize: sign-in page, consent page, or back with an error.
func (s *Server) showAuthorize(w http.ResponseWriter, r *http.Request) {
	ask, err := s.asked(r)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if ask.fault != nil {
		s.sendBack(w, r, ask, url.Values{"error": {ask.fault.Code}, "error_description": {ask.fault.Description}})
		return
	}
	session, person, err := s.signedIn(r)
	switch {
	case errors.Is(err, oauth.ErrNotFound):
		s.showSignIn(w, r, ask, http.StatusOK, "", "")
	case err != nil:
		s.failPage(w, r, err)
	case !person.mayLink:
		s.show(w, r, http.StatusForbidden, "denied", ask, view{Person: person.Person, Account: s.nameOf(person.Account)})
	default:
		s.showConsent(w, r, ask, session, person)
	}
}

// postAuthorize answers the forms of the pages. Cross-origin posts do not come here.
func (s *Server) postAuthorize(w http.ResponseWriter, r *http.Request) {
	ask, err := s.asked(r)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		s.failPage(w, r, refusal(http.StatusBadRequest, "invalid_request", "The form could not be read."))
		return
	}
	action := r.PostForm.Get("action")
	switch {
	case action == "cancel":
		s.sendBack(w, r, ask, url.Values{
			"error": {oauth.AccessDenied}, "error_description": {"the admin cancelled the link"},
		})
	case ask.fault != nil:
		s.sendBack(w, r, ask, url.Values{"error": {ask.fault.Code}, "error_description": {ask.fault.Description}})
	case action == "sign-in":
		s.signIn(w, r, ask)
	case action == "sign-out":
		s.signOut(w, r, ask)
	case action == "approve":
		s.approve(w, r, ask)
	default:
		s.failPage(w, r, refusal(http.StatusBadRequest, "invalid_request", "The form has no known action."))
	}
}

// asked reads an authorisation request. Its errors are shown here and never sent to a redirect URI.
func (s *Server) asked(r *http.Request) (asking, error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return asking{}, invalidRequest("the query cannot be read")
	}
	client, err := s.authority.Client(r.Context(), params.Get("client_id"))
	if errors.Is(err, oauth.ErrNotFound) {
		return asking{}, invalidRequest("no app with this client_id is registered here")
	}
	if err != nil {
		return asking{}, err
	}
	if _, err := oauth.Destination(params, client); err != nil {
		return asking{}, err
	}
	ask := asking{params: params, client: client}
	ask.request, err = oauth.ParseRequest(params, client)
	errors.As(err, &ask.fault)
	return ask, nil
}

// self is the address of the page's own form.
func (a asking) self() string {
	return cloudlink.PathAuthentication + "/authorize?" + a.params.Encode()
}

// sendBack redirects to the app with state and issuer (RFC 9207). 303, so that no form is posted on (RFC 9700 §4.12).
func (s *Server) sendBack(w http.ResponseWriter, r *http.Request, ask asking, answer url.Values) {
	target, err := url.Parse(ask.params.Get("redirect_uri"))
	if err != nil { // a registered URI is sound
		s.failPage(w, r, err)
		return
	}
	q := target.Query()
	for name, values := range answer {
		q.Set(name, values[0])
	}
	if state := ask.params["state"]; len(state) == 1 {
		q.Set("state", state[0])
	}
	q.Set("iss", s.issuer)
	target.RawQuery = q.Encode()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

// showConsent asks the signed-in person, with a ticket that lets the form be sent once.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, ask asking, session oauth.Session, person admin) {
	ticket := account.NewToken()
	err := s.store.AddTicket(r.Context(), oauth.Ticket{
		Account: session.Account, Hash: ticket.Hash(), SessionHash: session.Hash, Request: ask.request.Digest(),
		ExpiresAt: s.now().Add(oauth.TicketLifetime),
	})
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "consent", ask, view{
		Person: person.Person, Account: s.nameOf(person.Account), Ticket: ticket.Reveal(),
		Scopes: describe(ask.request.Scope),
	})
}

// approve turns consent into a code.
func (s *Server) approve(w http.ResponseWriter, r *http.Request, ask asking) {
	session, person, err := s.signedIn(r)
	if errors.Is(err, oauth.ErrNotFound) { // the session ended while the page was open: sign in and look again
		http.Redirect(w, r, ask.self(), http.StatusSeeOther)
		return
	}
	if err == nil && !person.mayLink {
		err = refusal(http.StatusForbidden, oauth.AccessDenied, "You do not hold the permission Phone System Integration.")
	}
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	ticket := oauth.Ticket{
		Account: session.Account, SessionHash: session.Hash, Hash: account.Secret(r.PostForm.Get("ticket")).Hash(),
	}
	code, err := s.authority.Approve(r.Context(), person.Person, ask.request, ticket, oauth.AuditEntry{
		Account: person.Account, At: s.now(), Actor: person.ID, Client: ask.client.ID, Action: "consent",
		Target: ask.request.Scope.String(), Correlation: correlation(r.Context()), Remote: sourceOf(r),
	})
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.sendBack(w, r, ask, url.Values{"code": {code.Reveal()}})
}

func (s *Server) nameOf(acc account.ID) string { return s.people.accounts[acc].Name }
