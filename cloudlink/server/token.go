package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// token answers POST /token (RFC 6749 §3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	client, params, err := s.clientRequest(r)
	if err != nil {
		s.failToken(w, r, err)
		return
	}
	pair, err := s.authority.Grant(r.Context(), client, params)
	if err != nil {
		s.failToken(w, r, err)
		return
	}
	s.send(w, r, http.StatusOK, cloudlink.TokenReply{
		AccessToken: pair.Access.Reveal(), TokenType: "Bearer", ExpiresIn: int(pair.ExpiresIn / time.Second),
		RefreshToken: pair.Refresh.Reveal(), Scope: pair.Scope.String(),
	})
}

// revoke answers POST /revoke (RFC 7009).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	client, params, err := s.clientRequest(r)
	if err == nil {
		err = s.authority.Revoke(r.Context(), client, params)
	}
	if err != nil {
		s.failToken(w, r, err)
		return
	}
	s.send(w, r, http.StatusOK, struct{}{})
}

// clientRequest reads the parameters and finds out which client sends them.
func (s *Server) clientRequest(r *http.Request) (oauth.Client, url.Values, error) {
	params, err := readParams(r)
	if err != nil {
		return oauth.Client{}, nil, err
	}
	id, secret, err := credentials(r, params)
	if err != nil {
		return oauth.Client{}, nil, err
	}
	// A failure costs a try; a client that knows its secret never meets this limit.
	try := allowance{key: "client " + sourceOf(r), limit: 20 * s.limits.PerSource}
	if wait := s.attempts.take(try); wait > 0 {
		return oauth.Client{}, nil, tooMany(wait)
	}
	client, err := s.authority.Authenticate(r.Context(), id, secret)
	if err != nil {
		return oauth.Client{}, nil, err
	}
	s.attempts.giveBack(try)
	if wait := s.pace.take(string(client.Account) + " " + client.ID); wait > 0 {
		return oauth.Client{}, nil, tooMany(wait)
	}
	return client, params, nil
}

// readParams takes a form or a flat JSON object of strings; never the query, which ends in logs.
func readParams(r *http.Request) (url.Values, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the token request: %w", err)
	}
	var params url.Values
	switch kind {
	case "application/x-www-form-urlencoded":
		params, err = url.ParseQuery(string(body))
	case "application/json":
		params, err = flatJSON(string(body))
	default:
		return nil, invalidRequest("send a form or a JSON object")
	}
	if err != nil {
		return nil, invalidRequest("the body is not a sound form or JSON object of strings")
	}
	return params, nil
}

// flatJSON reads an object of strings; a repeated name stays visible, so that it can be refused.
func flatJSON(body string) (url.Values, error) {
	decoder, params := json.NewDecoder(strings.NewReader(body)), url.Values{}
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		value, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		text, ok := value.(string)
		if !ok {
			return nil, errors.New("not a string")
		}
		params.Add(name.(string), text) // names of an object are strings
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return params, nil
}

// credentials takes the client's id and secret from the Basic header or the parameters, never both (RFC 6749 §2.3).
func credentials(r *http.Request, params url.Values) (string, account.Secret, error) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		return params.Get("client_id"), account.Secret(params.Get("client_secret")), nil
	}
	// In the header both are form-encoded first (§2.3.1).
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if errID != nil || errSecret != nil {
		return "", "", &oauth.Error{Code: oauth.InvalidClient, Description: "client id and secret must be form-encoded"}
	}
	if params.Has("client_secret") || (params.Has("client_id") && params.Get("client_id") != id) {
		return "", "", invalidRequest("authenticate in one way alone")
	}
	return id, account.Secret(secret), nil
}

func invalidRequest(description string) *oauth.Error {
	return &oauth.Error{Code: oauth.InvalidRequest, Description: description}
}

// tokenError is the reply of RFC 6749 §5.2 and, beside it, that of the rest of the API.
type tokenError struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Code          string `json:"code"`
	Message       string `json:"message"`
	CorrelationID string `json:"correlationId"`
}

// failToken sends an error of the token and revocation endpoints.
func (s *Server) failToken(w http.ResponseWriter, r *http.Request, err error) {
	var refused *oauth.Error
	e := refusal(http.StatusBadRequest, "", "")
	if errors.As(err, &refused) {
		e.Code, e.Message = refused.Code, refused.Description
	} else {
		*e = *s.replyTo(r.Context(), err)
	}
	if e.Code == oauth.InvalidClient {
		e.Status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="cloudlink"`)
	}
	retryAfter(w, e.RetryAfter)
	s.send(w, r, e.Status, tokenError{e.Code, e.Message, e.Code, e.Message, correlation(r.Context())})
}

// whoAmI answers GET /token. Booleans and times are strings on this one resource.
func (s *Server) whoAmI(w http.ResponseWriter, r *http.Request, who oauth.Access) error {
	reply := cloudlink.WhoAmI{
		UserID: who.Subject, AccountID: string(who.Account), Role: "client", ClientID: who.Client,
		Scope: who.Scope.String(), ExpiresOn: who.ExpiresAt.UTC().Format(time.RFC3339), Verified: "false",
	}
	if person, ok := s.people.byID[who.Subject]; ok {
		reply.Role, reply.Email, reply.Name, reply.Verified = person.Role, person.Email, person.Name, "true"
	}
	s.send(w, r, http.StatusOK, reply)
	return nil
}

// jwks answers with no keys: access tokens are opaque, and whoever wants to know about one asks GET /token.
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	s.send(w, r, http.StatusOK, map[string][]string{"keys": {}})
}

// metadata answers as RFC 8414 says.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	base := s.issuer + cloudlink.PathAuthentication
	methods := []string{"client_secret_basic", "client_secret_post"}
	grants := []oauth.GrantType{oauth.AuthorizationCode, oauth.RefreshToken, oauth.ClientCredentials}
	s.send(w, r, http.StatusOK, map[string]any{
		"issuer":                                         s.issuer,
		"authorization_endpoint":                         base + "/authorize",
		"token_endpoint":                                 base + "/token",
		"revocation_endpoint":                            base + "/revoke",
		"jwks_uri":                                       base + "/.well-known/jwks",
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          grants,
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          methods,
		"revocation_endpoint_auth_methods_supported":     methods,
		"authorization_response_iss_parameter_supported": true,
		"scopes_supported": []string{
			cloudlink.ScopeRead, cloudlink.ScopeWrite, cloudlink.ScopeCredential, cloudlink.ScopeClients,
		},
	})
}
