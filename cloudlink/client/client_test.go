package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"demarc/cloudlink"
	"demarc/cloudlink/client"
	"demarc/cloudlink/server"
	"demarc/connector"
	"demarc/internal/account"
	"demarc/test/cloudlinktest"
)

// config is a client's for loopback services.
func config(roots *x509.CertPool) client.Config {
	return client.Config{
		ClientID: cloudlinktest.ClientID, ClientSecret: cloudlinktest.Secret, RedirectURI: cloudlinktest.RedirectURI,
		Scopes: strings.Fields(cloudlinktest.Scopes), Roots: roots,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Wait:         func(context.Context, time.Duration) error { return nil },
	}
}

func newClient(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// consent walks the sign-in as an admin and returns the callback with the verifier.
func consent(t *testing.T, s *cloudlinktest.Service, c *client.Client, email string) (url.Values, string) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	address, err := c.AuthorizeURL(s.URL, "state-1", oauth2.S256ChallengeFromVerifier(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return s.Browser(t).Consent(address, email), verifier
}

func link(t *testing.T, s *cloudlinktest.Service, c *client.Client, email string) connector.Tokens {
	t.Helper()
	callback, verifier := consent(t, s, c, email)
	tokens, err := c.Exchange(t.Context(), s.URL, callback.Get("code"), verifier)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func source(s *cloudlinktest.Service, c *client.Client, token account.Secret) *client.Source {
	return c.Source(s.URL, func(context.Context, account.Secret) (account.Secret, error) { return token, nil })
}

func TestLink(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newClient(t, config(s.Roots))
	callback, verifier := consent(t, s, c, cloudlinktest.Admin)
	if callback.Get("state") != "state-1" || callback.Get("iss") != s.URL {
		t.Fatalf("callback %v", callback)
	}
	tokens, err := c.Exchange(t.Context(), s.URL+"/", callback.Get("code"), verifier)
	if err != nil {
		t.Fatal(err)
	}
	if tokens.Scope != "psi:credentials psi:read psi:write" || time.Until(tokens.ExpiresAt) < 59*time.Minute {
		t.Errorf("tokens for %q until %v", tokens.Scope, tokens.ExpiresAt)
	}
	who, err := c.WhoAmI(t.Context(), s.URL, tokens.Access)
	if err != nil || who.Email != cloudlinktest.Admin || who.AccountID != "acme" {
		t.Errorf("who am I: %+v, %v", who, err)
	}
	next, err := c.Refresh(t.Context(), s.URL, tokens.Refresh)
	if err != nil || next.Access.Equal(tokens.Access) || next.Refresh.Equal(tokens.Refresh) {
		t.Fatalf("refresh: %v", err)
	}
	again, err := c.Refresh(t.Context(), s.URL, tokens.Refresh)
	if err != nil || !again.Access.Equal(next.Access) || !again.Refresh.Equal(next.Refresh) {
		t.Fatalf("refresh after a lost answer: %v", err)
	}
	if err := c.Revoke(t.Context(), s.URL, next.Refresh); err != nil {
		t.Fatal(err)
	}
	_, err = c.WhoAmI(t.Context(), s.URL, next.Access)
	wantRefusal(t, "access after revocation", err, connector.ErrReauthorize, "invalid_token")
	_, err = c.Refresh(t.Context(), s.URL, next.Refresh)
	wantRefusal(t, "refresh after revocation", err, connector.ErrReauthorize, "invalid_grant")
}

// A service that says nothing of lifetimes can be linked, and its tokens work and are refreshed.
func TestLinkWithoutLifetimes(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Untold.Store(true)
	c := newClient(t, config(s.Roots))
	first := link(t, s, c, cloudlinktest.Admin)
	if life := time.Until(first.ExpiresAt); life < 4*time.Minute || life > 5*time.Minute {
		t.Errorf("the token is taken to live for %v", life)
	}
	next, err := c.Refresh(t.Context(), s.URL, first.Refresh)
	if err != nil || next.Access.Equal(first.Access) {
		t.Fatalf("refresh: %v", err)
	}
	if who, err := c.WhoAmI(t.Context(), s.URL, next.Access); err != nil || who.Email != cloudlinktest.Admin {
		t.Errorf("who am I: %+v, %v", who, err)
	}
	s.Untold.Store(false)
	if told := link(t, s, c, cloudlinktest.Admin); time.Until(told.ExpiresAt) < 59*time.Minute {
		t.Errorf("a token with a lifetime ends at %v", told.ExpiresAt)
	}
}

// wantRefusal checks that an error has the connector's word, the service's code and a correlation id.
func wantRefusal(t *testing.T, what string, err, sentinel error, code string) {
	t.Helper()
	var e *cloudlink.Error
	if !errors.As(err, &e) || e.Code != code || e.CorrelationID == "" || !strings.Contains(err.Error(), e.CorrelationID) {
		t.Errorf("%s: got %v, want code %s with a correlation id", what, err, code)
	}
	for _, s := range []error{connector.ErrCodeRefused, connector.ErrReauthorize, connector.ErrUnreachable} {
		if errors.Is(err, s) != (s == sentinel) {
			t.Errorf("%s: %v; is it %q: %v", what, err, s, errors.Is(err, s))
		}
	}
}

func TestExchangeRefused(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newClient(t, config(s.Roots))
	callback, verifier := consent(t, s, c, cloudlinktest.Admin)
	code := callback.Get("code")
	_, err := c.Exchange(t.Context(), s.URL, code, oauth2.GenerateVerifier())
	wantRefusal(t, "another verifier", err, connector.ErrCodeRefused, "invalid_grant")
	_, err = c.Exchange(t.Context(), s.URL, code+"x", verifier)
	wantRefusal(t, "tampered code", err, connector.ErrCodeRefused, "invalid_grant")

	elsewhere := config(s.Roots)
	elsewhere.RedirectURI += "/other"
	_, err = newClient(t, elsewhere).Exchange(t.Context(), s.URL, code, verifier)
	wantRefusal(t, "another redirect URI", err, connector.ErrCodeRefused, "invalid_grant")

	imposter := config(s.Roots)
	imposter.ClientSecret = "not the right secret"
	_, err = newClient(t, imposter).Exchange(t.Context(), s.URL, code, verifier)
	wantRefusal(t, "wrong secret", err, nil, "invalid_client")

	if _, err = c.Exchange(t.Context(), s.URL, code, verifier); err != nil {
		t.Fatal(err)
	}
	_, err = c.Exchange(t.Context(), s.URL, code, verifier)
	wantRefusal(t, "used twice", err, connector.ErrCodeRefused, "invalid_grant")

	late, verifier := consent(t, s, c, cloudlinktest.Admin)
	s.Clock.Advance(5 * time.Minute)
	_, err = c.Exchange(t.Context(), s.URL, late.Get("code"), verifier)
	wantRefusal(t, "too late", err, connector.ErrCodeRefused, "invalid_grant")
}

func TestRefreshReplay(t *testing.T) {
	s := cloudlinktest.Start(t)
	c := newClient(t, config(s.Roots))
	first := link(t, s, c, cloudlinktest.Admin)
	second, err := c.Refresh(t.Context(), s.URL, first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(30 * time.Second)
	_, err = c.Refresh(t.Context(), s.URL, first.Refresh)
	wantRefusal(t, "reuse", err, connector.ErrReauthorize, "invalid_grant")
	_, err = c.Refresh(t.Context(), s.URL, second.Refresh)
	wantRefusal(t, "the family", err, connector.ErrReauthorize, "invalid_grant")
}

func TestSource(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(1, 250)
	s.Other.Add(900, 901)
	c := newClient(t, config(s.Roots))
	src := source(s, c, link(t, s, c, cloudlinktest.Admin).Access)

	pbxs, err := src.PBXs(t.Context())
	if err != nil || len(pbxs) != 1 || pbxs[0].Domain != "acme.example" {
		t.Fatalf("PBXs %+v, %v", pbxs, err)
	}
	var seen []string
	pages := 0
	for next := ""; pages == 0 || next != ""; pages++ {
		users, following, err := src.Users(t.Context(), next)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			if len(u.SIPEndpoints) != 2 {
				t.Fatalf("%s has no endpoints", u.UserID)
			}
			seen = append(seen, u.UserID)
		}
		next = following
	}
	if len(seen) != 250 || pages != 3 || !slices.IsSorted(seen) || len(slices.Compact(seen)) != 250 {
		t.Fatalf("%d users on %d pages", len(seen), pages)
	}
	cred, err := src.Credential(t.Context(), "u0001", "u0001-mobile")
	if err != nil || cred.Realm != "acme.example" || len(cred.Digests) != 1 || cred.Digests[0].HA1 == "" {
		t.Fatalf("credential %+v, %v", cred, err)
	}
	for _, missing := range [][2]string{
		{"u0900", "u0900-mobile"}, {"u0001", "u0002-mobile"}, {"u0001/x", "y"}, {"u0001", "?"},
	} {
		_, err := src.Credential(t.Context(), missing[0], missing[1])
		var e *cloudlink.Error
		if !errors.As(err, &e) || e.Status != 404 || e.Code != "not_found" {
			t.Errorf("%v: %v", missing, err)
		}
	}
}

func TestScopeAndTokenErrors(t *testing.T) {
	s := cloudlinktest.Start(t)
	s.Acme.Add(1, 1)
	cfg := config(s.Roots)
	cfg.Scopes = []string{cloudlink.ScopeRead}
	c := newClient(t, cfg)
	src := source(s, c, link(t, s, c, cloudlinktest.Admin).Access)
	if _, _, err := src.Users(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	_, err := src.Credential(t.Context(), "u0001", "u0001-desktop")
	wantRefusal(t, "no scope for credentials", err, nil, "insufficient_scope")
	_, _, err = source(s, c, "not a token").Users(t.Context(), "")
	wantRefusal(t, "no token", err, connector.ErrReauthorize, "invalid_token")
	broken := errors.New("no token to be had")
	none := func(context.Context, account.Secret) (account.Secret, error) { return "", broken }
	if _, _, err = c.Source(s.URL, none).Users(t.Context(), ""); !errors.Is(err, broken) {
		t.Errorf("the token source's own error is lost: %v", err)
	}
	good := link(t, s, c, cloudlinktest.Admin).Access
	renews := func(_ context.Context, refused account.Secret) (account.Secret, error) {
		switch refused {
		case "":
			return "revoked", nil
		case "revoked":
			return good, nil
		}
		return "", broken
	}
	if _, _, err = c.Source(s.URL, renews).Users(t.Context(), ""); err != nil {
		t.Errorf("a refused token was not renewed: %v", err)
	}
	ends := func(_ context.Context, refused account.Secret) (account.Secret, error) {
		if refused == "" {
			return "revoked", nil
		}
		return "", broken
	}
	_, _, err = c.Source(s.URL, ends).Users(t.Context(), "")
	wantRefusal(t, "a token that cannot be renewed", err, connector.ErrReauthorize, "invalid_token")
	if !errors.Is(err, broken) {
		t.Errorf("why it cannot be renewed is lost: %v", err)
	}
}

func TestPaceIsKept(t *testing.T) {
	s := cloudlinktest.Start(t, func(c *server.Config) { c.Limits = server.Limits{RequestsPerSecond: 1, Burst: 1} })
	cfg := config(s.Roots)
	var waited []time.Duration
	cfg.Wait = func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		s.Clock.Advance(d)
		return nil
	}
	c := newClient(t, cfg)
	src := source(s, c, link(t, s, c, cloudlinktest.Admin).Access)
	for range 3 {
		if _, err := src.PBXs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(waited) != 2 || waited[0] < time.Second || waited[0] > 2*time.Second {
		t.Errorf("waited %v, want what Retry-After says and a little more, twice", waited)
	}
}

func TestConfigAndBaseAreChecked(t *testing.T) {
	if _, err := client.New(client.Config{ClientID: "x"}); err == nil {
		t.Error("a configuration without a secret was accepted")
	}
	c := newClient(t, config(nil))
	for _, base := range []string{
		"", "cloudlink.example", "http://cloudlink.example", "https://", "https://a@b.example", "https://b.example/path",
		"https://b.example?x", "https://b.example#x", "https://:443", "ftp://b.example", "https://b.example\n",
	} {
		if _, err := c.AuthorizeURL(base, "s", "c"); !errors.Is(err, connector.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", base, err)
		}
		if _, err := c.WhoAmI(t.Context(), base, "t"); !errors.Is(err, connector.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", base, err)
		}
	}
}
