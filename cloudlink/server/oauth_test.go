package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/store/storetest"
	"demarc/test/cloudlinktest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // of RFC 7636 Appendix B
	auth     = cloudlink.PathAuthentication
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request is a sound authorisation request.
func request() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {cloudlinktest.ClientID}, "redirect_uri": {cloudlinktest.RedirectURI},
		"state": {"the state & more"}, "scope": {cloudlinktest.Scopes}, "code_challenge": {challenge(verifier)},
		"code_challenge_method": {"S256"},
	}
}

func authorizeURL(s *cloudlinktest.Service, q url.Values) string {
	return s.URL + auth + "/authorize?" + q.Encode()
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// caller speaks HTTP to a service.
type caller struct {
	t    *testing.T
	base string
	http *http.Client
}

func newCaller(t *testing.T, s *cloudlinktest.Service) caller {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return caller{t: t, base: s.URL, http: &http.Client{Transport: transport}}
}

func (c caller) do(method, path, body string, change ...func(*http.Request)) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &r.body); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	if res.Header.Get(cloudlink.HeaderCorrelationID) == "" {
		c.t.Errorf("%s %s: no correlation id", method, path)
	}
	return r
}

// form posts to the token or revocation endpoint as the app.
func (c caller) form(path string, params url.Values, change ...func(*http.Request)) reply {
	c.t.Helper()
	change = append([]func(*http.Request){func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(cloudlinktest.ClientID, url.QueryEscape(cloudlinktest.Secret.Reveal()))
	}}, change...)
	return c.do(http.MethodPost, auth+path, params.Encode(), change...)
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func codeParams(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {cloudlinktest.RedirectURI},
		"code_verifier": {verifier},
	}
}

// link gives the app tokens by the whole way.
func link(t *testing.T, s *cloudlinktest.Service, email string) cloudlink.TokenReply {
	t.Helper()
	code := s.Browser(t).Consent(authorizeURL(s, request()), email).Get("code")
	return tokens(t, newCaller(t, s).form("/token", codeParams(code)))
}

func tokens(t *testing.T, r reply) cloudlink.TokenReply {
	t.Helper()
	var pair cloudlink.TokenReply
	if err := json.Unmarshal([]byte(r.raw), &pair); err != nil || r.status != http.StatusOK || pair.AccessToken == "" {
		t.Fatalf("no tokens: status %d, %v: %v", r.status, err, r.body)
	}
	return pair
}

func refreshParams(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

func wantError(t *testing.T, what string, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.text("code") != code || r.text("message") == "" || r.text("correlationId") == "" ||
		r.text("correlationId") != r.header.Get(cloudlink.HeaderCorrelationID) {
		t.Errorf("%s: got %d %v, want %d %s with message and correlation id", what, r.status, r.body, status, code)
	}
}

func TestForeignClient(t *testing.T) {
	s := cloudlinktest.Start(t)
	for name, style := range map[string]oauth2.AuthStyle{
		"basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams,
	} {
		t.Run(name, func(t *testing.T) {
			conf := oauth2.Config{
				ClientID: cloudlinktest.ClientID, ClientSecret: cloudlinktest.Secret.Reveal(),
				RedirectURL: cloudlinktest.RedirectURI,
				Scopes:      strings.Fields(cloudlinktest.Scopes),
				Endpoint: oauth2.Endpoint{
					AuthURL: s.URL + auth + "/authorize", TokenURL: s.URL + auth + "/token", AuthStyle: style,
				},
			}
			c := newCaller(t, s)
			ctx := oauthContext(t, c)
			v := oauth2.GenerateVerifier()
			back := s.Browser(t).Consent(conf.AuthCodeURL("st", oauth2.S256ChallengeOption(v)), cloudlinktest.Admin)
			token, err := conf.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(v))
			if err != nil {
				t.Fatal(err)
			}
			token.Expiry = time.Now().Add(-time.Minute)
			fresh, err := conf.TokenSource(ctx, token).Token()
			if err != nil || fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
				t.Fatalf("refresh: %v", err)
			}
			res, err := conf.Client(ctx, fresh).Get(s.URL + cloudlink.PathPSI + "/pbxs")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Fatalf("a resource answers %s", res.Status)
			}
		})
	}
}

func TestMetadataAndKeys(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	doc := c.do("GET", "/.well-known/oauth-authorization-server", "")
	if doc.text("issuer") != s.URL || doc.text("token_endpoint") != s.URL+auth+"/token" ||
		doc.body["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("metadata %v", doc.body)
	}
	if keys := c.do("GET", auth+"/.well-known/jwks", ""); keys.raw != "{\"keys\":[]}\n" {
		t.Errorf("keys %s", keys.raw)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	s := cloudlinktest.Start(t)
	code := s.Browser(t).Consent(authorizeURL(s, request()), cloudlinktest.Admin).Get("code")
	c := newCaller(t, s)
	pair := tokens(t, c.form("/token", codeParams(code)))
	next := tokens(t, c.form("/token", refreshParams(pair.RefreshToken)))
	c.do("GET", auth+"/token", "", bearer(next.AccessToken))
	log := s.Log.String()
	for name, secret := range map[string]account.Secret{
		"password": cloudlinktest.Password, "client secret": cloudlinktest.Secret, "code": account.Secret(code),
		"verifier": verifier, "access": account.Secret(next.AccessToken), "refresh": account.Secret(next.RefreshToken),
		"old access": account.Secret(pair.AccessToken), "old refresh": account.Secret(pair.RefreshToken),
	} {
		if strings.Contains(log, secret.Reveal()) {
			t.Errorf("the log holds the %s", name)
		}
	}
	if !strings.Contains(log, "/token") {
		t.Error("the log holds no requests at all")
	}
}

// oauthContext lets golang.org/x/oauth2 trust the service's CA.
func oauthContext(t *testing.T, c caller) context.Context {
	return context.WithValue(t.Context(), oauth2.HTTPClient, c.http)
}
