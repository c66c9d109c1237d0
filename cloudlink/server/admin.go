package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// account answers GET /accounts/{id}.
func (s *Server) account(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	if err := ownAccount(r, who); err != nil {
		return err
	}
	a := s.people.accounts[who.Account]
	s.send(w, r, http.StatusOK, cloudlink.Account{
		AccountID: string(a.ID), Name: a.Name, AccessTokenExpiryHours: a.accessHours(),
		RefreshTokenExpiryHours: a.refreshHours(),
	})
	return nil
}

// ownAccount hides every account but the token's.
func ownAccount(r *http.Request, who oauth.Access) error {
	if r.PathValue("id") != string(who.Account) {
		return notFound()
	}
	return nil
}

// clients answers GET /accounts/{id}/clients.
func (s *Server) clients(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	if err := ownAccount(r, who); err != nil {
		return err
	}
	q, err := parseList(r)
	if err != nil {
		return err
	}
	source := func(ctx context.Context, after string, limit int) ([]oauth.Client, error) {
		return s.store.ClientsOf(ctx, who.Account, after, limit)
	}
	page, last, err := pageOf(r.Context(), q, source, func(c oauth.Client) string { return c.ID }, every)
	if err != nil {
		return err
	}
	shown := make([]cloudlink.Client, len(page))
	for i, c := range page {
		shown[i] = wireClient(c)
	}
	sendPage(s, w, r, q, shown, last)
	return nil
}

func wireClient(c oauth.Client) cloudlink.Client {
	return cloudlink.Client{
		ClientID: c.ID, Name: c.Name, Scopes: c.Scopes, CreatedOn: c.CreatedAt.UTC().Format(time.RFC3339),
		CreatedBy: c.CreatedBy,
	}
}

// addClient answers POST /accounts/{id}/clients. The secret is in this answer and nowhere else.
func (s *Server) addClient(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	if err := ownAccount(r, who); err != nil {
		return err
	}
	wanted, err := readNewClient(r, who)
	if err != nil {
		return err
	}
	secret := account.NewToken()
	c := oauth.Client{
		Account: who.Account, ID: account.NewID("client"), Name: wanted.Name, SecretHash: secret.Hash(),
		Scopes: oauth.ParseScope(strings.Join(wanted.Scopes, " ")), CreatedAt: s.now(), CreatedBy: who.Subject,
	}
	if err := s.store.AddClient(r.Context(), c, s.deed(r, who, "client_added", c.ID)); err != nil {
		return err
	}
	reply := wireClient(c)
	reply.ClientSecret = secret.Reveal()
	s.send(w, r, http.StatusCreated, reply)
	return nil
}

// readNewClient reads the body. A client may get no scope that its maker's own token does not have.
func readNewClient(r *http.Request, who oauth.Access) (cloudlink.NewClient, error) {
	var wanted cloudlink.NewClient
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		return wanted, invalid("body", "must be a JSON object with name and scopes")
	}
	wanted.Name = strings.TrimSpace(wanted.Name)
	scopes := oauth.ParseScope(strings.Join(wanted.Scopes, " "))
	switch {
	case wanted.Name == "" || !plain(wanted.Name):
		return wanted, invalid("name", "must have 1 to 256 printable characters")
	case len(scopes) == 0:
		return wanted, invalid("scopes", "must name at least one scope")
	case !scopes.Within(who.Scope):
		return wanted, invalid("scopes", "may not hold more than the scopes of your own token")
	}
	return wanted, nil
}

// removeClient answers DELETE /accounts/{id}/clients/{cid}.
func (s *Server) removeClient(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	id := r.PathValue("cid")
	if err := ownAccount(r, who); err != nil || !plain(id) {
		return notFound()
	}
	if err := s.store.RemoveClient(r.Context(), who.Account, id, s.deed(r, who, "client_removed", id)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// links answers GET /connectors: the apps that admins of the account have linked.
func (s *Server) links(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	q, err := parseList(r)
	if err != nil {
		return err
	}
	source := func(ctx context.Context, after string, limit int) ([]oauth.Link, error) {
		return s.store.Links(ctx, who.Account, after, limit, s.now())
	}
	stands := func(l oauth.Link) bool { return s.people.mayLink(who.Account, l.Subject) }
	page, last, err := pageOf(r.Context(), q, source, func(l oauth.Link) string { return l.Grant }, stands)
	if err != nil {
		return err
	}
	shown := make([]cloudlink.LinkedApp, len(page))
	for i, l := range page {
		shown[i] = cloudlink.LinkedApp{
			ConnectorID: l.Grant, ClientID: l.Client, Scopes: l.Scope, LinkedBy: l.Subject,
			LinkedOn: l.CreatedAt.UTC().Format(time.RFC3339),
		}
		if c, err := s.authority.Client(r.Context(), l.Client); err == nil {
			shown[i].Name = c.Name
		}
	}
	sendPage(s, w, r, q, shown, last)
	return nil
}

// endLink answers DELETE /connectors/{id}: the app's tokens end.
func (s *Server) endLink(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	id := r.PathValue("id")
	if !plain(id) {
		return notFound()
	}
	if err := s.store.EndLink(r.Context(), who.Account, id, s.deed(r, who, "link_ended", id)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
