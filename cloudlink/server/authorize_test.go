package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/test/cloudlinktest"
)

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
				if page.Status != http.StatusBadRequest || page.Location != "" ||
					!strings.Contains(page.Body, "This did not work") {
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
		"no ticket":    b.Submit(page, "approve", url.Values{"ticket": {""}}),
		"wrong ticket": b.Submit(page, "approve", url.Values{"ticket": {"x"}}),
		"other request": b.Post(authorizeURL(s, changed), "same-origin",
			url.Values{"action": {"approve"}, "ticket": {page.Ticket()}}),
		"from another site": b.Post(authorizeURL(s, request()), "cross-site",
			url.Values{"action": {"approve"}, "ticket": {page.Ticket()}}),
		"from the same site": b.Post(authorizeURL(s, request()), "same-site",
			url.Values{"action": {"approve"}, "ticket": {page.Ticket()}}),
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
		if got.Get("error") != "access_denied" || got.Get("state") != "the state & more" || got.Get("iss") != s.URL ||
			got.Has("code") {
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
		"action": {"sign-in"}, "ticket": {page.Ticket()}, "email": {cloudlinktest.Admin},
		"password": {cloudlinktest.Password},
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
