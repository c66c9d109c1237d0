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
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/store"
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

func TestAuthorizationRequests(t *testing.T) {
	s := cloudlinktest.Start(t)
	set := func(name string, values ...string) func(url.Values) {
		return func(q url.Values) { q[name] = values }
	}
	for name, test := range map[string]struct {
		change func(url.Values)
		want   string // error code by redirect; "" means an error page without redirect
	}{
		"unknown client":           {set("client_id", "nobody"), ""},
		"no client":                {set("client_id"), ""},
		"client twice":             {set("client_id", cloudlinktest.ClientID, "x"), ""},
		"no redirect URI":          {set("redirect_uri"), ""},
		"redirect URI twice":       {set("redirect_uri", cloudlinktest.RedirectURI, cloudlinktest.RedirectURI), ""},
		"other redirect URI":       {set("redirect_uri", "https://evil.example/"), ""},
		"redirect URI prefix":      {set("redirect_uri", cloudlinktest.RedirectURI+"/more"), ""},
		"redirect URI with query":  {set("redirect_uri", cloudlinktest.RedirectURI+"?x=y"), ""},
		"redirect URI in capitals": {set("redirect_uri", strings.ToUpper(cloudlinktest.RedirectURI)), ""},
		"redirect URI with port":   {set("redirect_uri", "https://portal.example:443/connect/callback"), ""},
		"redirect URI userinfo":    {set("redirect_uri", "https://portal.example@evil.example/connect/callback"), ""},
		"client with NUL":          {set("client_id", "demarc\x00"), ""},
		"no response type":         {set("response_type"), "invalid_request"},
		"implicit":                 {set("response_type", "token"), "unsupported_response_type"},
		"no PKCE":                  {set("code_challenge"), "invalid_request"},
		"PKCE downgrade to plain":  {set("code_challenge_method", "plain"), "invalid_request"},
		"PKCE without method":      {set("code_challenge_method"), "invalid_request"},
		"short challenge":          {set("code_challenge", "abc"), "invalid_request"},
		"no state":                 {set("state"), "invalid_request"},
		"state twice":              {set("state", "a", "b"), "invalid_request"},
		"no scope":                 {set("scope"), "invalid_scope"},
		"unknown scope":            {set("scope", "psi:read root"), "invalid_scope"},
		"scope not of this app":    {set("scope", cloudlink.ScopeClients), "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			q := request()
			test.change(q)
			b := s.Browser(t)
			page := b.Get(authorizeURL(s, q))
			if test.want == "" {
				if page.Status != http.StatusBadRequest || page.Location != "" || !strings.Contains(page.Body, "This did not work") {
					t.Fatalf("want an error page without redirect, got %d %q", page.Status, page.Location)
				}
				return
			}
			got := b.Callback(page)
			state := ""
			if len(q["state"]) == 1 {
				state = q.Get("state")
			}
			if got.Get("error") != test.want || got.Get("state") != state || got.Get("iss") != s.URL || got.Has("code") {
				t.Fatalf("callback %v, want error %s", got, test.want)
			}
		})
	}
}

func TestConsentGivesACodeWithStateAndIssuer(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	page := b.SignIn(authorizeURL(s, request()), cloudlinktest.Admin)
	for _, want := range []string{"Demarc", "Acme GmbH", "portal.example", "Ada Admin", "Fetch the SIP credentials"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the consent page does not say %q", want)
		}
	}
	csp := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") ||
		!strings.Contains(csp, "form-action 'self' https://portal.example") || strings.Contains(page.Body, "<script") {
		t.Errorf("content security policy %q", csp)
	}
	got := b.Callback(b.Submit(page, "approve", nil))
	if got.Get("code") == "" || got.Get("state") != "the state & more" || got.Get("iss") != s.URL || got.Has("error") {
		t.Fatalf("callback %v", got)
	}
	pair := tokens(t, newCaller(t, s).form("/token", codeParams(got.Get("code"))))
	if pair.TokenType != "Bearer" || pair.ExpiresIn != 3600 || pair.RefreshToken == "" ||
		pair.Scope != "psi:credentials psi:read psi:write" {
		t.Fatalf("tokens %v", pair)
	}
}

func TestConsentFormIsSpentOnceAndBound(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	page := b.SignIn(authorizeURL(s, request()), cloudlinktest.Admin)
	changed := request()
	changed.Set("scope", cloudlink.ScopeRead)
	for name, got := range map[string]cloudlinktest.Page{
		"no ticket":           b.Submit(page, "approve", url.Values{"ticket": {""}}),
		"wrong ticket":        b.Submit(page, "approve", url.Values{"ticket": {"x"}}),
		"other request":       b.Post(authorizeURL(s, changed), "same-origin", url.Values{"action": {"approve"}, "ticket": {page.Ticket()}}),
		"from another site":   b.Post(authorizeURL(s, request()), "cross-site", url.Values{"action": {"approve"}, "ticket": {page.Ticket()}}),
		"from the same site":  b.Post(authorizeURL(s, request()), "same-site", url.Values{"action": {"approve"}, "ticket": {page.Ticket()}}),
		"unknown action":      b.Submit(page, "x", nil),
		"other account's one": otherAdminPosts(t, s, page),
	} {
		if got.Status/100 != 4 || got.Location != "" {
			t.Errorf("%s: got %d %q, want a refusal", name, got.Status, got.Location)
		}
	}
	nobody := s.Browser(t)
	if got := nobody.Submit(page, "approve", nil); !strings.HasPrefix(got.Location, auth+"/authorize?") {
		t.Errorf("not signed in: got %d %q, want the sign-in page", got.Status, got.Location)
	}
	if code := b.Callback(b.Submit(page, "approve", nil)).Get("code"); code == "" {
		t.Error("after all refusals the true form must still work")
	}
	if again := b.Submit(page, "approve", nil); again.Status != http.StatusBadRequest || again.Location != "" ||
		!strings.Contains(again.Body, "already sent") {
		t.Errorf("sent twice: got %d %q", again.Status, again.Location)
	}
	late := b.Get(authorizeURL(s, request()))
	s.Clock.Advance(16 * time.Minute)
	if got := b.Submit(late, "approve", nil); got.Status != http.StatusBadRequest {
		t.Errorf("sent late: got %d", got.Status)
	}
}

func otherAdminPosts(t *testing.T, s *cloudlinktest.Service, page cloudlinktest.Page) cloudlinktest.Page {
	other := s.Browser(t)
	other.SignIn(authorizeURL(s, request()), cloudlinktest.OtherAdmin)
	return other.Submit(page, "approve", nil)
}

func TestCancelGoesBackWithoutEffect(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	signIn := b.Get(authorizeURL(s, request()))
	consent := b.SignIn(authorizeURL(s, request()), cloudlinktest.Admin)
	for name, page := range map[string]cloudlinktest.Page{"sign-in": signIn, "consent": consent} {
		got := b.Callback(b.Submit(page, "cancel", nil))
		if got.Get("error") != "access_denied" || got.Get("state") != "the state & more" || got.Get("iss") != s.URL || got.Has("code") {
			t.Errorf("%s: callback %v", name, got)
		}
	}
	links, err := s.Store.Links(t.Context(), "acme", "", 10, s.Clock.Now())
	if err != nil || len(links) != 0 {
		t.Errorf("links %v, %v", links, err)
	}
}

func TestConsentNeedsThePermission(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	page := b.SignIn(authorizeURL(s, request()), cloudlinktest.Clerk)
	if page.Status != http.StatusForbidden || !strings.Contains(page.Body, "Phone System Integration") {
		t.Fatalf("got %d %s", page.Status, page.Body)
	}
	if got := b.Submit(page, "approve", nil); got.Status != http.StatusForbidden || got.Location != "" {
		t.Errorf("approved without permission: %d %q", got.Status, got.Location)
	}
	if got := b.Callback(b.Submit(page, "cancel", nil)); got.Get("error") != "access_denied" {
		t.Errorf("cancel: %v", got)
	}
	out := b.Submit(page, "sign-out", nil)
	if again := b.Get(s.URL + out.Location); !strings.Contains(again.Body, "Sign in") {
		t.Errorf("after sign-out: %d %s", again.Status, again.Body)
	}
	if consent := b.SignIn(authorizeURL(s, request()), cloudlinktest.Admin); consent.Status != http.StatusOK {
		t.Errorf("somebody else signs in: %d", consent.Status)
	}
}

func TestSignInIsUniformAndLimited(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	try := func(email, password string) cloudlinktest.Page {
		return b.Submit(b.Get(authorizeURL(s, request())), "sign-in", url.Values{"email": {email}, "password": {password}})
	}
	strip := func(p cloudlinktest.Page, email string) string {
		body := strings.ReplaceAll(p.Body, email, "EMAIL")
		return strings.ReplaceAll(body, p.Header.Get(cloudlink.HeaderCorrelationID), "")
	}
	const unknown = "nobody@acme.example"
	known, nobody := try(cloudlinktest.Admin, "wrong password"), try(unknown, "wrong password")
	if known.Status != http.StatusUnprocessableEntity || known.Status != nobody.Status ||
		strip(known, cloudlinktest.Admin) != strip(nobody, unknown) {
		t.Errorf("a known and an unknown person get different answers: %d, %d", known.Status, nobody.Status)
	}
	for range 5 {
		try(cloudlinktest.Admin, "wrong password")
	}
	limited := try(cloudlinktest.Admin, cloudlinktest.Password)
	if limited.Status != http.StatusTooManyRequests || limited.Header.Get("Retry-After") == "" ||
		!strings.Contains(limited.Body, "15 minutes") {
		t.Errorf("after 6 failures: %d %q", limited.Status, limited.Header.Get("Retry-After"))
	}
	if other := try(cloudlinktest.OtherAdmin, cloudlinktest.Password); other.Status != http.StatusSeeOther {
		t.Errorf("another person at the same source: %d", other.Status)
	}
	s.Clock.Advance(15 * time.Minute)
	for range 10 {
		b.Forget()
		if good := try(cloudlinktest.Admin, cloudlinktest.Password); good.Status != http.StatusSeeOther {
			t.Fatalf("right passwords are not limited: %d", good.Status)
		}
	}
	b.Forget()
	page := b.Get(authorizeURL(s, request()))
	b.Forget()
	forged := b.Post(authorizeURL(s, request()), "same-origin", url.Values{
		"action": {"sign-in"}, "ticket": {page.Ticket()}, "email": {cloudlinktest.Admin}, "password": {cloudlinktest.Password},
	})
	if forged.Status != http.StatusBadRequest {
		t.Errorf("a sign-in form without its cookie: %d", forged.Status)
	}
}

func TestSessionCookie(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	page := b.Submit(b.Get(authorizeURL(s, request())), "sign-in",
		url.Values{"email": {" ADMIN@acme.example "}, "password": {cloudlinktest.Password}})
	cookie := page.Header.Get("Set-Cookie")
	for _, want := range []string{"__Host-cloudlink=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Errorf("cookie %q has a domain", cookie)
	}
	s.Clock.Advance(time.Hour)
	if late := b.Get(authorizeURL(s, request())); !strings.Contains(late.Body, `type="password"`) {
		t.Error("an hour later the session still lives")
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	code := s.Browser(t).Consent(authorizeURL(s, request()), cloudlinktest.Admin).Get("code")
	with := func(name string, values ...string) url.Values {
		p := codeParams(code)
		p[name] = values
		return p
	}
	as := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, url.QueryEscape(secret)) }
	}
	none := func(r *http.Request) { r.Header.Del("Authorization") }
	plainText := func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	json := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	secret := cloudlinktest.Secret.Reveal()
	for name, test := range map[string]struct {
		params url.Values
		change func(*http.Request)
		status int
		code   string
	}{
		"wrong verifier":        {with("code_verifier", strings.Repeat("x", 43)), nil, 400, "invalid_grant"},
		"no verifier":           {with("code_verifier"), nil, 400, "invalid_request"},
		"challenge as verifier": {with("code_verifier", challenge(verifier)), nil, 400, "invalid_grant"},
		"other redirect URI":    {with("redirect_uri", cloudlinktest.RedirectURI+"/"), nil, 400, "invalid_grant"},
		"no redirect URI":       {with("redirect_uri"), nil, 400, "invalid_request"},
		"unknown code":          {with("code", "x"), nil, 400, "invalid_grant"},
		"code with NUL":         {with("code", "x\x00"), nil, 400, "invalid_grant"},
		"code twice":            {with("code", code, code), nil, 400, "invalid_request"},
		"no grant type":         {with("grant_type"), nil, 400, "invalid_request"},
		"password grant":        {with("grant_type", "password"), nil, 400, "unsupported_grant_type"},
		"not for this client":   {with("grant_type", "client_credentials"), nil, 400, "unauthorized_client"},
		"no client":             {codeParams(code), none, 401, "invalid_client"},
		"wrong secret":          {codeParams(code), as(cloudlinktest.ClientID, "wrong"), 401, "invalid_client"},
		"empty secret":          {codeParams(code), as(cloudlinktest.ClientID, ""), 401, "invalid_client"},
		"unknown client":        {codeParams(code), as("nobody", secret), 401, "invalid_client"},
		"client with NUL":       {codeParams(code), as("a%00b", secret), 401, "invalid_client"},
		"another client":        {codeParams(code), as(cloudlinktest.AdminTool, secret), 400, "invalid_grant"},
		"basic and post":        {with("client_secret", secret), nil, 400, "invalid_request"},
		"two clients":           {with("client_id", "x"), nil, 400, "invalid_request"},
		"not a form":            {codeParams(code), plainText, 400, "invalid_request"},
		"a form called JSON":    {codeParams(code), json, 400, "invalid_request"},
		"huge":                  {with("code", strings.Repeat("x", 100_000)), nil, 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			change := test.change
			if change == nil {
				change = func(*http.Request) {}
			}
			r := caller{t, c.base, c.http}.form("/token", test.params, change)
			wantError(t, name, r, test.status, test.code)
			if r.text("error") != test.code || r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("error %q, Cache-Control %q", r.text("error"), r.header.Get("Cache-Control"))
			}
			if (test.status == 401) != (r.header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q", r.header.Get("WWW-Authenticate"))
			}
		})
	}
	tokens(t, c.form("/token", codeParams(code))) // none of them burnt it
}

func TestCodeExpires(t *testing.T) {
	s := cloudlinktest.Start(t)
	b := s.Browser(t)
	b.SignIn(authorizeURL(s, request()), cloudlinktest.Admin)
	for _, test := range []struct {
		age    time.Duration
		status int
	}{{5*time.Minute - time.Second, 200}, {5 * time.Minute, 400}} {
		code := b.Callback(b.Submit(b.Get(authorizeURL(s, request())), "approve", nil)).Get("code")
		s.Clock.Advance(test.age)
		if r := newCaller(t, s).form("/token", codeParams(code)); r.status != test.status {
			t.Errorf("a code of %v: %d, want %d", test.age, r.status, test.status)
		}
	}
}

func TestCodeReplayInParallel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := cloudlinktest.StartOn(t, db)
		code := s.Browser(t).Consent(authorizeURL(s, request()), cloudlinktest.Admin).Get("code")
		replies := together(t, s, 100, codeParams(code))
		var won []reply
		for _, r := range replies {
			if r.status == http.StatusOK {
				won = append(won, r)
			} else if r.text("code") != "invalid_grant" {
				t.Errorf("a loser got %d %v", r.status, r.body)
			}
		}
		if len(won) != 1 {
			t.Fatalf("%d of 100 got tokens for one code", len(won))
		}
		c := newCaller(t, s)
		if r := c.do("GET", auth+"/token", "", bearer(won[0].text("access_token"))); r.status != http.StatusUnauthorized {
			t.Errorf("after the replay the access token still works: %d", r.status)
		}
		if r := c.form("/token", refreshParams(won[0].text("refresh_token"))); r.text("code") != "invalid_grant" {
			t.Errorf("after the replay the refresh token still works: %d", r.status)
		}
		if !strings.Contains(s.Log.String(), "connector.reauthorizationRequired") {
			t.Error("nothing in the log tells of the replay")
		}
	})
}

// together sends the same token request n times at once.
func together(t *testing.T, s *cloudlinktest.Service, n int, params url.Values) []reply {
	t.Helper()
	c, replies := newCaller(t, s), make([]reply, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { replies[i] = c.form("/token", params) })
	}
	wg.Wait()
	return replies
}

func TestRefreshInParallelGivesOnePair(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := cloudlinktest.StartOn(t, db)
		first := link(t, s, cloudlinktest.Admin)
		pairs := map[string]bool{}
		for _, r := range together(t, s, 50, refreshParams(first.RefreshToken)) {
			pair := tokens(t, r)
			pairs[pair.AccessToken+" "+pair.RefreshToken] = true
		}
		if len(pairs) != 1 {
			t.Fatalf("one refresh token gave %d pairs", len(pairs))
		}
	})
}

func TestRefresh(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	works := func(token string) bool { return c.do("GET", auth+"/token", "", bearer(token)).status == http.StatusOK }

	first := link(t, s, cloudlinktest.Admin)
	second := tokens(t, c.form("/token", refreshParams(first.RefreshToken)))
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || !works(second.AccessToken) {
		t.Fatal("a refresh must give a new, working pair")
	}
	s.Clock.Advance(29 * time.Second)
	lost := tokens(t, c.form("/token", refreshParams(first.RefreshToken)))
	if lost.AccessToken != second.AccessToken || lost.RefreshToken != second.RefreshToken || lost.ExpiresIn != 3600-29 {
		t.Fatalf("a lost answer, asked for again within 30 s, must be the same pair")
	}
	if r := c.form("/token", refreshParams(first.RefreshToken), func(r *http.Request) {
		r.SetBasicAuth(cloudlinktest.AdminTool, url.QueryEscape(cloudlinktest.Secret.Reveal()))
	}); r.text("code") != "invalid_grant" || !works(second.AccessToken) {
		t.Fatalf("another client got %v", r.body)
	}
	s.Clock.Advance(time.Second)
	wantError(t, "reuse after 30 s", c.form("/token", refreshParams(first.RefreshToken)), 400, "invalid_grant")
	if works(second.AccessToken) {
		t.Error("after the reuse the newer access token still works")
	}
	wantError(t, "the newer refresh token", c.form("/token", refreshParams(second.RefreshToken)), 400, "invalid_grant")
}

func TestRefreshForms(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	asJSON := func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.Header.Del("Authorization")
	}
	body := func(fields map[string]string) string {
		b, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	pair := link(t, s, cloudlinktest.Admin)
	pair = tokens(t, c.do("POST", auth+"/token", body(map[string]string{
		"grant_type": "refresh_token", "token": pair.RefreshToken, "client_id": cloudlinktest.ClientID,
		"client_secret": cloudlinktest.Secret.Reveal(),
	}), asJSON))
	narrow := refreshParams(pair.RefreshToken)
	narrow.Set("scope", "psi:read psi:other")
	wantError(t, "more scope", c.form("/token", narrow), 400, "invalid_scope")
	narrow.Set("scope", "psi:read")
	if pair = tokens(t, c.form("/token", narrow)); pair.Scope != "psi:read" {
		t.Errorf("narrowed scope is %q", pair.Scope)
	}
	if pair = tokens(t, c.form("/token", refreshParams(pair.RefreshToken))); !strings.Contains(pair.Scope, "psi:write") {
		t.Errorf("the grant was narrowed with one token: %q", pair.Scope)
	}
	for name, doc := range map[string]string{
		"twice":  `{"grant_type":"refresh_token","token":"a","token":"b","client_id":"demarc","client_secret":"a client secret for tests"}`,
		"number": `{"grant_type":1}`, "array": `[]`, "nothing": ``, "two": `{}{}`, "cut": `{"grant_type":`,
	} {
		wantError(t, name, c.do("POST", auth+"/token", doc, asJSON), 400, "invalid_request")
	}
	s.Clock.Advance(90 * 24 * time.Hour)
	wantError(t, "after its lifetime", c.form("/token", refreshParams(pair.RefreshToken)), 400, "invalid_grant")
}

func TestRevocation(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	works := func(token string) bool { return c.do("GET", auth+"/token", "", bearer(token)).status == http.StatusOK }
	pair := link(t, s, cloudlinktest.Admin)
	tool := func(r *http.Request) {
		r.SetBasicAuth(cloudlinktest.AdminTool, url.QueryEscape(cloudlinktest.Secret.Reveal()))
	}
	if r := c.form("/revoke", url.Values{"token": {"unknown"}}); r.status != http.StatusOK {
		t.Errorf("an unknown token: %d, want 200 (RFC 7009 section 2.2)", r.status)
	}
	wantError(t, "no token", c.form("/revoke", nil), 400, "invalid_request")
	wantError(t, "another client's", c.form("/revoke", url.Values{"token": {pair.RefreshToken}}, tool), 400, "invalid_grant")
	wantError(t, "no client", c.form("/revoke", url.Values{"token": {pair.RefreshToken}},
		func(r *http.Request) { r.Header.Del("Authorization") }), 401, "invalid_client")
	if !works(pair.AccessToken) {
		t.Fatal("refused revocations had an effect")
	}
	hint := url.Values{"token": {pair.RefreshToken}, "token_type_hint": {"access_token"}}
	if r := c.form("/revoke", hint); r.status != http.StatusOK || works(pair.AccessToken) {
		t.Errorf("revoked: %d, the access token works: %v", r.status, works(pair.AccessToken))
	}
	wantError(t, "refresh after revocation", c.form("/token", refreshParams(pair.RefreshToken)), 400, "invalid_grant")
}

func TestForeignClient(t *testing.T) {
	s := cloudlinktest.Start(t)
	for name, style := range map[string]oauth2.AuthStyle{"basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			conf := oauth2.Config{
				ClientID: cloudlinktest.ClientID, ClientSecret: cloudlinktest.Secret.Reveal(), RedirectURL: cloudlinktest.RedirectURI,
				Scopes: strings.Fields(cloudlinktest.Scopes),
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
