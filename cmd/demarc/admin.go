package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"demarc/connector"
	"demarc/internal/account"
)

// admin is a member at work in the portal and the API with the same web session, as a person with a browser is.
type admin struct {
	browser *browser
	server  string // https://host:port
}

// signIn opens a one-time sign-in link and presses its button. Without a CA the system's authorities are trusted.
func signIn(ctx context.Context, caPEM []byte, server, link string) (*admin, error) {
	var roots *x509.CertPool
	if len(caPEM) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(caPEM) {
			return nil, errors.New("the server's CA certificate cannot be read")
		}
	}
	b, err := newBrowser(roots)
	if err != nil {
		return nil, err
	}
	if err := b.open(ctx, link); err != nil {
		return nil, err
	}
	return &admin{browser: b, server: server}, b.submit(ctx, "", nil)
}

// call asks the JSON API; in and out may be nil.
func (a *admin) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	kind := "application/json"
	switch x := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(x), "text/csv"
	default:
		encoded, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.server+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	reply, err := a.browser.client.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode >= 400 {
		var problem struct{ Title, Detail string }
		_ = json.NewDecoder(reply.Body).Decode(&problem) // the status alone is told when it is no problem document
		return fmt.Errorf("%s %s: %d %s", method, path, reply.StatusCode, strings.TrimSpace(problem.Title+" "+problem.Detail))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(reply.Body).Decode(out)
}

// connectorRow is what the link shows of a connector.
type connectorRow struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	BaseURL string `json:"baseUrl"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
}

// install puts the app into the account and makes a connector to the service, or finds the one there is.
func (a *admin) install(ctx context.Context, service string) (connectorRow, error) {
	service, err := connector.Origin(service) // as connectors have it
	if err != nil {
		return connectorRow{}, err
	}
	if err := a.call(ctx, http.MethodPost, "/v1/app", nil, nil); err != nil {
		return connectorRow{}, err
	}
	var listed struct {
		Connectors []connectorRow `json:"connectors"`
	}
	if err := a.call(ctx, http.MethodGet, "/v1/connectors", nil, &listed); err != nil {
		return connectorRow{}, err
	}
	name := "Phone system"
	for _, c := range listed.Connectors {
		if c.BaseURL == service {
			return c, nil
		}
		if c.Name == name {
			name += " at " + strings.TrimPrefix(service, "https://")
		}
	}
	var made connectorRow
	err = a.call(ctx, http.MethodPost, "/v1/connectors", map[string]string{"name": name, "baseUrl": service}, &made)
	return made, err
}

// connect walks the OAuth link: off to the service, sign in there, consent, and back.
func (a *admin) connect(ctx context.Context, c connectorRow, email string, password account.Secret) (connectorRow, error) {
	var start struct {
		URL string `json:"url"`
	}
	if err := a.call(ctx, http.MethodPost, "/v1/connectors/"+c.ID+"/connect", nil, &start); err != nil {
		return c, err
	}
	if err := a.browser.open(ctx, start.URL); err != nil {
		return c, fmt.Errorf("opening the service: %w", err)
	}
	fields := map[string]string{"email": email, "password": password.Reveal()}
	if err := a.browser.submit(ctx, "sign-in", fields); err != nil {
		return c, fmt.Errorf("signing in at the service: %w", err)
	}
	if err := a.browser.submit(ctx, "approve", nil); err != nil {
		return c, fmt.Errorf("consenting at the service: %w", err)
	}
	err := a.call(ctx, http.MethodGet, "/v1/connectors/"+c.ID, nil, &c)
	if err == nil && c.State != "linked" {
		err = fmt.Errorf("the connector is %s: %s", c.State, c.Reason)
	}
	return c, err
}
