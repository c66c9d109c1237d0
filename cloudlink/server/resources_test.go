package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"demarc/cloudlink"
	"demarc/cloudlink/server"
	"demarc/store"
	"demarc/test/cloudlinktest"
)

const (
	psi   = cloudlink.PathPSI
	admin = cloudlink.PathAdmin
)

// tokenFor links an app that asks for some scopes.
func tokenFor(t *testing.T, s *cloudlinktest.Service, app, email, scope string) string {
	t.Helper()
	q := request()
	q.Set("client_id", app)
	q.Set("scope", scope)
	code := s.Browser(t).Consent(authorizeURL(s, q), email).Get("code")
	r := newCaller(t, s).form("/token", codeParams(code), func(r *http.Request) {
		r.SetBasicAuth(app, url.QueryEscape(cloudlinktest.Secret.Reveal()))
	})
	return tokens(t, r).AccessToken
}

func TestWhoAmI(t *testing.T) {
	s := cloudlinktest.Start(t)
	r := newCaller(t, s).do("GET", auth+"/token", "", bearer(link(t, s, cloudlinktest.Admin).AccessToken))
	for name, want := range map[string]string{
		"accountId": "acme", "role": "admin", "email": cloudlinktest.Admin, "name": "Ada Admin", "emailVerified": "true",
		"clientId": cloudlinktest.ClientID, "scope": "psi:credentials psi:read psi:write",
		"expiresOn": s.Clock.Now().Add(3600e9).Format("2006-01-02T15:04:05Z"),
	} {
		if r.text(name) != want {
			t.Errorf("%s is %q, want %q", name, r.text(name), want)
		}
	}
	if !strings.HasPrefix(r.text("userId"), "adm_") {
		t.Errorf("userId %q", r.text("userId"))
	}
}

// resources are all routes behind a token, with what each asks for.
var resources = []struct{ method, path, scope string }{
	{"GET", auth + "/token", ""},
	{"GET", admin + "/accounts/acme", cloudlink.ScopeRead},
	{"GET", admin + "/users", cloudlink.ScopeRead},
	{"GET", admin + "/users/u0001", cloudlink.ScopeRead},
	{"GET", admin + "/accounts/acme/clients", cloudlink.ScopeClients},
	{"POST", admin + "/accounts/acme/clients", cloudlink.ScopeClients},
	{"DELETE", admin + "/accounts/acme/clients/x", cloudlink.ScopeClients},
	{"GET", psi + "/pbxs", cloudlink.ScopeRead},
	{"GET", psi + "/connectors", cloudlink.ScopeRead},
	{"DELETE", psi + "/connectors/x", cloudlink.ScopeWrite},
	{"GET", psi + "/users", cloudlink.ScopeRead},
	{"GET", psi + "/users/u0001", cloudlink.ScopeRead},
	{"GET", psi + "/users/u0001/sipendpoints", cloudlink.ScopeRead},
	{"GET", psi + "/users/u0001/sipendpoints/u0001-desktop", cloudlink.ScopeRead},
	{"GET", psi + "/users/u0001/sipendpoints/u0001-desktop/credential", cloudlink.ScopeCredential},
	{"POST", psi + "/users/u0001/sipendpoints/u0001-desktop/rotate", cloudlink.ScopeWrite},
}

func TestEveryResourceAsksForItsScope(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(1, 1)
	c := newCaller(t, s)
	byScope := map[string]string{}
	for _, scope := range []string{
		cloudlink.ScopeRead, cloudlink.ScopeWrite, cloudlink.ScopeCredential, cloudlink.ScopeClients,
	} {
		byScope[scope] = tokenFor(t, s, cloudlinktest.AdminTool, cloudlinktest.Admin, scope)
	}
	for _, res := range resources {
		what := res.method + " " + res.path
		none := c.do(res.method, res.path, "")
		wantError(t, what+" without token", none, 401, "unauthorized")
		wrong := c.do(res.method, res.path, "", bearer("x"))
		wantError(t, what+" with a wrong token", wrong, 401, "invalid_token")
		if none.header.Get("WWW-Authenticate") == "" || wrong.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate", what)
		}
		for scope, token := range byScope {
			r := c.do(res.method, res.path, "{}", bearer(token))
			if allowed := res.scope == "" || scope == res.scope; allowed == (r.status == http.StatusForbidden) {
				t.Errorf("%s with %s: %d", what, scope, r.status)
			}
			if r.status == http.StatusForbidden {
				wantError(t, what, r, 403, "insufficient_scope")
			}
		}
	}
	inQuery := c.do("GET", psi+"/pbxs?access_token="+byScope[cloudlink.ScopeRead], "")
	wantError(t, "a token in the query", inQuery, 401, "unauthorized")
}

func TestOtherAccountsLookLikeNothing(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(1, 2)
	s.Other.Add(3, 4)
	c := newCaller(t, s)
	all := cloudlinktest.Scopes + " " + cloudlink.ScopeClients
	mine := tokenFor(t, s, cloudlinktest.AdminTool, cloudlinktest.Admin, all)
	theirs := tokenFor(t, s, cloudlinktest.AdminTool, cloudlinktest.OtherAdmin, all)
	made := c.do("POST", admin+"/accounts/other/clients", `{"name":"n","scopes":["psi:read"]}`, bearer(theirs))
	links := c.do("GET", psi+"/connectors", "", bearer(theirs))
	var apps cloudlink.List[cloudlink.LinkedApp]
	if err := json.Unmarshal([]byte(links.raw), &apps); err != nil || apps.Count != 1 {
		t.Fatalf("%v in %s", err, links.raw)
	}
	want := c.do("GET", psi+"/nothing/here", "", bearer(mine))
	for _, target := range []string{
		"GET " + admin + "/accounts/other", "GET " + admin + "/accounts/other/clients",
		"POST " + admin + "/accounts/other/clients", "DELETE " + admin + "/accounts/other/clients/" + made.text("clientId"),
		"DELETE " + admin + "/accounts/acme/clients/" + made.text("clientId"),
		"DELETE " + psi + "/connectors/" + apps.Embedded.Items[0].ConnectorID, "GET " + admin + "/users/u0003",
		"GET " + psi + "/users/u0003", "GET " + psi + "/users/u0003/sipendpoints",
		"GET " + psi + "/users/u0003/sipendpoints/u0003-desktop",
		"GET " + psi + "/users/u0003/sipendpoints/u0003-desktop/credential",
		"POST " + psi + "/users/u0003/sipendpoints/u0003-desktop/rotate",
		"GET " + psi + "/users/u0001/sipendpoints/u0003-desktop/credential",
		"GET " + psi + "/users/u0001/sipendpoints/u0002-desktop/credential",
		"POST " + psi + "/users/u0001/sipendpoints/u0002-desktop/rotate",
		"GET " + psi + "/users/u9999", "GET " + psi + "/users/%00", "PUT " + psi + "/users/u0001",
	} {
		method, path, _ := strings.Cut(target, " ")
		r := c.do(method, path, `{"name":"n","scopes":["psi:read"]}`, bearer(mine))
		wantError(t, target, r, 404, "not_found")
		if r.text("message") != want.text("message") {
			t.Errorf("%s: its 404 differs: %v", target, r.body)
		}
	}
	if r := c.do("GET", auth+"/token", "", bearer(theirs)); r.status != http.StatusOK {
		t.Errorf("the other account's token: %d", r.status)
	}
}

func TestUserLists(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(1, 7)
	c := newCaller(t, s)
	token := link(t, s, cloudlinktest.Admin).AccessToken
	for name, test := range map[string]struct {
		query url.Values
		want  []string
		next  bool
	}{
		"all": {url.Values{}, []string{"u0001", "u0002", "u0003", "u0004", "u0005", "u0006", "u0007"}, false},
		"top": {url.Values{"$top": {"2"}}, []string{"u0001", "u0002"}, true},
		"exactly all": {url.Values{"$top": {"7"}}, []string{"u0001", "u0002", "u0003", "u0004", "u0005", "u0006",
			"u0007"}, false},
		"skip":              {url.Values{"$top": {"2"}, "$skip": {"4"}}, []string{"u0005", "u0006"}, true},
		"skip to the end":   {url.Values{"$top": {"2"}, "$skip": {"5"}}, []string{"u0006", "u0007"}, false},
		"skip past the end": {url.Values{"$skip": {"50"}}, nil, false},
		"email":             {url.Values{"$filter": {"email eq 'USER2003@acme.example'"}}, []string{"u0003"}, false},
		"extension":         {url.Values{"$filter": {"extension eq '2004'"}}, []string{"u0004"}, false},
		"quote":             {url.Values{"$filter": {"email eq 'o''hara@acme.example'"}}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			page := userPage(t, c, token, psi+"/users?"+test.query.Encode())
			if got := ids(page); !slices.Equal(got, test.want) || page.Count != len(test.want) ||
				(page.Links.Next != "") != test.next {
				t.Errorf("got %v, next %q", got, page.Links.Next)
			}
		})
	}
	for _, bad := range []url.Values{
		{"$top": {"0"}}, {"$top": {"501"}}, {"$top": {"x"}}, {"$top": {"1", "2"}}, {"$skip": {"-1"}}, {"$skip": {"10001"}},
		{"$filter": {"name eq 'x'"}}, {"$filter": {"email ne 'x'"}}, {"$filter": {"email eq 'x' or extension eq '1'"}},
		{"$filter": {"email eq 'x\x00'"}}, {"$expand": {"tags"}}, {"$skiptoken": {"x"}}, {"$orderby": {"name"}},
		{"top": {"1"}},
		{"$skiptoken": {"MTr_"}},
	} {
		r := c.do("GET", psi+"/users?"+bad.Encode(), "", bearer(token))
		wantError(t, bad.Encode(), r, 400, "invalid_request")
		if faults, _ := r.body["errors"].([]any); len(faults) != 1 {
			t.Errorf("%v: errors %v", bad, r.body["errors"])
		}
	}
}

func userPage(t *testing.T, c caller, token, path string) cloudlink.List[cloudlink.UserWithEndpoints] {
	t.Helper()
	r := c.do("GET", path, "", bearer(token))
	var page cloudlink.List[cloudlink.UserWithEndpoints]
	if err := json.Unmarshal([]byte(r.raw), &page); err != nil || r.status != http.StatusOK {
		t.Fatalf("%s: %d, %v: %s", path, r.status, err, r.raw)
	}
	return page
}

func ids(page cloudlink.List[cloudlink.UserWithEndpoints]) []string {
	var all []string
	for _, u := range page.Embedded.Items {
		all = append(all, u.UserID)
	}
	return all
}

func TestPagesWhileUsersChange(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(10, 29)
	c := newCaller(t, s)
	token := link(t, s, cloudlinktest.Admin).AccessToken
	seen := map[string]int{}
	next := s.URL + psi + "/users?$top=3&$expand=sipendpoints"
	for step := 0; next != ""; step++ {
		path, ok := strings.CutPrefix(next, s.URL)
		if !ok {
			t.Fatalf("next %q is not on the service's own origin", next)
		}
		page := userPage(t, c, token, path)
		for _, u := range page.Embedded.Items {
			seen[u.UserID]++
			if len(u.SIPEndpoints) != 2 || u.AccountID != "acme" {
				t.Fatalf("user %+v", u)
			}
		}
		// Whoever was read already goes away, and others come in front of them.
		s.Acme.Remove(fmt.Sprintf("u%04d", 10+step*3))
		s.Acme.Add(step, step)
		next = page.Links.Next
	}
	for n := 10; n < 30; n++ {
		if id := fmt.Sprintf("u%04d", n); seen[id] != 1 {
			t.Errorf("user %s was seen %d times", id, seen[id])
		}
	}
}

func TestEndpointsAndCredentials(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(1, 1)
	c := newCaller(t, s)
	token := bearer(link(t, s, cloudlinktest.Admin).AccessToken)
	const user, desktop, mobile = psi + "/users/u0001", "/sipendpoints/u0001-desktop", "/sipendpoints/u0001-mobile"
	first := c.do("GET", user+"/sipendpoints?$top=1", "", token)
	var page cloudlink.List[cloudlink.SIPEndpoint]
	if err := json.Unmarshal([]byte(first.raw), &page); err != nil || page.Count != 1 || page.Links.Next == "" {
		t.Fatalf("%v in %s", err, first.raw)
	}
	second := c.do("GET", strings.TrimPrefix(page.Links.Next, s.URL), "", token)
	if !strings.Contains(second.raw, "u0001-mobile") || strings.Contains(second.raw, "next") {
		t.Errorf("second page %s", second.raw)
	}
	got := c.do("GET", user+desktop+"/credential", "", token)
	if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(got.raw, `"algorithm":"MD5"`) {
		t.Fatalf("credential: %d %v %s", got.status, got.header, got.raw)
	}
	if r := c.do("POST", user+desktop+"/rotate", "", token); r.status != http.StatusOK {
		t.Errorf("rotate: %d %v", r.status, r.body)
	}
	if again := c.do("GET", user+desktop+"/credential", "", token); again.raw == got.raw {
		t.Error("rotate changed nothing")
	}
	wantError(t, "a PBX that can only be read", c.do("POST", user+mobile+"/rotate", "", token), 409, "pbx_read_only")
	trail, err := s.Store.AuditTrail(t.Context(), "acme", 20)
	if err != nil {
		t.Fatal(err)
	}
	var reads int
	for _, a := range trail {
		if a.Action == "credential_read" {
			reads++
			if a.Target != "u0001-desktop" || a.Client != cloudlinktest.ClientID || a.Correlation == "" ||
				a.Remote != "127.0.0.1" {
				t.Errorf("audit entry %+v", a)
			}
		}
	}
	if reads != 2 {
		t.Errorf("%d reads of a credential were kept, want 2: %+v", reads, trail)
	}
}

func TestClientsOfAnAccount(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	maker := bearer(tokenFor(t, s, cloudlinktest.AdminTool, cloudlinktest.Admin, "psi:read admin:clients"))
	const clients = admin + "/accounts/acme/clients"
	for _, body := range []string{
		``, `[]`, `{}`, `{"name":"x"}`, `{"name":"","scopes":["psi:read"]}`, `{"name":"x","scopes":["psi:credentials"]}`,
		`{"name":"x","scopes":["psi:read"],"secret":"mine"}`, `{"name":"x\u0000","scopes":["psi:read"]}`,
	} {
		wantError(t, body, c.do("POST", clients, body, maker), 400, "invalid_request")
	}
	made := c.do("POST", clients, `{"name":"Reporting","scopes":["psi:read"]}`, maker)
	id, secret := made.text("clientId"), made.text("clientSecret")
	if made.status != http.StatusCreated || id == "" || secret == "" {
		t.Fatalf("made: %d %v", made.status, made.body)
	}
	list := c.do("GET", clients, "", maker)
	if !strings.Contains(list.raw, id) || strings.Contains(list.raw, secret) ||
		strings.Contains(list.raw, "clientSecret") {
		t.Errorf("list %s", list.raw)
	}
	as := func(r *http.Request) { r.SetBasicAuth(id, secret) }
	own := url.Values{"grant_type": {"client_credentials"}}
	wide := url.Values{"grant_type": {"client_credentials"}, "scope": {"psi:read psi:write"}}
	wantError(t, "more scope", c.form("/token", wide, as), 400, "invalid_scope")
	wantError(t, "a code", c.form("/token", codeParams("x"), as), 400, "unauthorized_client")
	token := tokens(t, c.form("/token", own, as))
	if token.RefreshToken != "" || token.Scope != "psi:read" {
		t.Errorf("client credentials gave %v with refresh %v", token, token.RefreshToken != "")
	}
	who := c.do("GET", auth+"/token", "", bearer(token.AccessToken))
	if who.text("role") != "client" || who.text("userId") != id || who.text("accountId") != "acme" {
		t.Errorf("who am I: %v", who.body)
	}
	if r := c.do("DELETE", clients+"/"+id, "", maker); r.status != http.StatusNoContent {
		t.Errorf("removed: %d", r.status)
	}
	wantError(t, "its token", c.do("GET", psi+"/pbxs", "", bearer(token.AccessToken)), 401, "invalid_token")
	wantError(t, "its secret", c.form("/token", own, as), 401, "invalid_client")
}

func TestEndingALink(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newCaller(t, s)
	pair := link(t, s, cloudlinktest.Admin)
	list := c.do("GET", psi+"/connectors", "", bearer(pair.AccessToken))
	var apps cloudlink.List[cloudlink.LinkedApp]
	if err := json.Unmarshal([]byte(list.raw), &apps); err != nil || apps.Count != 1 ||
		apps.Embedded.Items[0].Name != "Demarc" {
		t.Fatalf("%v in %s", err, list.raw)
	}
	path := psi + "/connectors/" + apps.Embedded.Items[0].ConnectorID
	if r := c.do("DELETE", path, "", bearer(pair.AccessToken)); r.status != http.StatusNoContent {
		t.Fatalf("end: %d %v", r.status, r.body)
	}
	wantError(t, "after its end", c.do("GET", psi+"/pbxs", "", bearer(pair.AccessToken)), 401, "invalid_token")
	wantError(t, "refresh", c.form("/token", refreshParams(pair.RefreshToken)), 400, "invalid_grant")
}

func TestLinkEndsWithThePermission(t *testing.T) {
	s := cloudlinktest.Start(t)
	pair := link(t, s, cloudlinktest.Admin)
	// The same state under a configuration that took the permission away.
	after := s.Restart(t, func(c *server.Config) { c.Accounts[0].Admins[0].PhoneSystemIntegration = false })
	c := newCaller(t, after)
	wantError(t, "access", c.do("GET", psi+"/pbxs", "", bearer(pair.AccessToken)), 401, "invalid_token")
	wantError(t, "refresh", c.form("/token", refreshParams(pair.RefreshToken)), 400, "invalid_grant")
}

func TestAppTakenOutOfTheConfiguration(t *testing.T) {
	s := cloudlinktest.Start(t)
	pair := link(t, s, cloudlinktest.Admin)
	endpoint := psi + "/users/u0001/sipendpoints/u0001-desktop"
	s.Acme.Add(1, 1)
	narrow := newCaller(t, s.Restart(t, func(c *server.Config) { c.Apps[0].Scopes = []string{cloudlink.ScopeRead} }))
	if r := narrow.do("GET", endpoint, "", bearer(pair.AccessToken)); r.status != http.StatusOK {
		t.Errorf("a scope that the app still has: %d %s", r.status, r.raw)
	}
	wantError(t, "a scope that the app has no more", narrow.do("GET", endpoint+"/credential", "", bearer(pair.AccessToken)),
		403, "insufficient_scope")
	gone := newCaller(t, s.Restart(t, func(c *server.Config) { c.Apps = c.Apps[1:] }))
	wantError(t, "an app that is gone", gone.do("GET", psi+"/pbxs", "", bearer(pair.AccessToken)), 401, "invalid_token")
}

func TestFailuresOfPBXAndPace(t *testing.T) {
	s := cloudlinktest.Start(t, func(c *server.Config) { c.Limits = server.Limits{RequestsPerSecond: 1, Burst: 10} })
	c := newCaller(t, s)
	token, other := link(t, s, cloudlinktest.Admin).AccessToken, link(t, s, cloudlinktest.OtherAdmin).AccessToken
	s.Acme.Fail(fmt.Errorf("%w: away", store.ErrUnavailable))
	r := c.do("GET", psi+"/users", "", bearer(token))
	wantError(t, "PBX away", r, 503, "unavailable")
	if r.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	s.Acme.Fail(errors.New("secret detail"))
	if r := c.do("GET", psi+"/users", "", bearer(token)); r.status != 500 || strings.Contains(r.raw, "secret detail") {
		t.Errorf("PBX broken: %d %s", r.status, r.raw)
	}
	s.Acme.Fail(nil)
	for range 8 {
		if r := c.do("GET", psi+"/pbxs", "", bearer(token)); r.status != http.StatusOK {
			t.Fatalf("within the burst: %d", r.status)
		}
	}
	r = c.do("GET", psi+"/pbxs", "", bearer(token))
	wantError(t, "too fast", r, 429, "rate_limited")
	if r.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	if r := c.do("GET", psi+"/pbxs", "", bearer(other)); r.status != http.StatusOK {
		t.Errorf("another account pays for it: %d", r.status)
	}
	s.Clock.Advance(1e9)
	if r := c.do("GET", psi+"/pbxs", "", bearer(token)); r.status != http.StatusOK {
		t.Errorf("a second later: %d", r.status)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	hash, err := server.HashPassword("long enough")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.HashPassword("short"); err == nil {
		t.Error("a short password was hashed")
	}
	s := cloudlinktest.Start(t)
	good := func() server.Config {
		return server.Config{
			Issuer: "https://cloudlink.example:8443", Store: s.Store,
			Apps: []server.App{{
				ID: "a", Name: "A", Secret: "0123456789abcdef", RedirectURIs: []string{"https://a.example/cb"},
				Scopes: []string{"psi:read"},
			}},
			Accounts: []server.Account{{ID: "x", PBX: s.Acme,
				Admins: []server.Admin{{Email: "a@b.example", PasswordHash: hash}}}},
		}
	}
	if _, err := server.New(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*server.Config){
		"http issuer":       func(c *server.Config) { c.Issuer = "http://cloudlink.example" },
		"issuer with slash": func(c *server.Config) { c.Issuer += "/" },
		"no store":          func(c *server.Config) { c.Store = nil },
		"short secret":      func(c *server.Config) { c.Apps[0].Secret = "short" },
		"http redirect":     func(c *server.Config) { c.Apps[0].RedirectURIs = []string{"http://a.example/cb"} },
		"redirect fragment": func(c *server.Config) { c.Apps[0].RedirectURIs = []string{"https://a.example/cb#x"} },
		"redirect wildcard": func(c *server.Config) { c.Apps[0].RedirectURIs = []string{"https://*.example/cb"} },
		"no PBX":            func(c *server.Config) { c.Accounts[0].PBX = nil },
		"account twice":     func(c *server.Config) { c.Accounts = append(c.Accounts, c.Accounts[0]) },
		"bad hash":          func(c *server.Config) { c.Accounts[0].Admins[0].PasswordHash = "long enough" },
		"weak hash": func(c *server.Config) {
			c.Accounts[0].Admins[0].PasswordHash = strings.Replace(hash, "m=19456", "m=8", 1)
		},
		"email twice": func(c *server.Config) {
			c.Accounts[0].Admins = append(c.Accounts[0].Admins, server.Admin{Email: "A@B.example", PasswordHash: hash})
		},
	} {
		c := good()
		spoil(&c)
		if _, err := server.New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
