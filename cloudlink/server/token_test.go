package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/store"
	"demarc/store/storetest"
	"demarc/test/cloudlinktest"
)

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
		"twice": `{"grant_type":"refresh_token","token":"a","token":"b",` +
			`"client_id":"demarc","client_secret":"a client secret for tests"}`,
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
	wantError(t, "another client's", c.form("/revoke", url.Values{"token": {pair.RefreshToken}}, tool), 400,
		"invalid_grant")
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
