package oauth_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"demarc/cloudlink/oauth"
)

func client() oauth.Client {
	return oauth.Client{
		ID: "app", RedirectURIs: []string{"https://a.example/cb"}, Scopes: []string{"psi:read", "psi:write"},
		Grants: []oauth.GrantType{oauth.AuthorizationCode},
	}
}

func params() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {"https://a.example/cb"}, "state": {"s"},
		"scope": {"psi:write psi:read psi:read"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, // RFC 7636 Appendix B
	}
}

func TestParseRequest(t *testing.T) {
	r, err := oauth.ParseRequest(params(), client())
	if err != nil || r.Scope.String() != "psi:read psi:write" || r.State != "s" {
		t.Fatalf("%+v, %v", r, err)
	}
	if uri, err := oauth.Destination(params(), client()); err != nil || uri != "https://a.example/cb" {
		t.Fatalf("%q, %v", uri, err)
	}
	machine := client()
	machine.Grants = []oauth.GrantType{oauth.ClientCredentials}
	if _, err := oauth.ParseRequest(params(), machine); codeOf(err) != oauth.UnauthorizedClient {
		t.Errorf("a client that may not ask people: %v", err)
	}
	for name, test := range map[string]struct {
		field, value, want string
	}{
		"challenge too short": {"code_challenge", strings.Repeat("A", 42), oauth.InvalidRequest},
		"challenge too long":  {"code_challenge", strings.Repeat("A", 44), oauth.InvalidRequest},
		"challenge alphabet":  {"code_challenge", strings.Repeat("+", 43), oauth.InvalidRequest},
		"padded challenge":    {"code_challenge", strings.Repeat("A", 43) + "=", oauth.InvalidRequest},
		"plain":               {"code_challenge_method", "plain", oauth.InvalidRequest},
		"long state":          {"state", strings.Repeat("s", 513), oauth.InvalidRequest},
		"hybrid":              {"response_type", "code token", oauth.UnsupportedResponseType},
	} {
		p := params()
		p.Set(test.field, test.value)
		if _, err := oauth.ParseRequest(p, client()); codeOf(err) != test.want {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}

func codeOf(err error) string {
	var refused *oauth.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

func TestDigestTellsRequestsApart(t *testing.T) {
	seen := map[string]string{}
	for _, field := range []string{"", "redirect_uri", "state", "scope", "code_challenge"} {
		p, c := params(), client()
		switch field {
		case "":
		case "scope":
			p.Set("scope", "psi:read")
		case "code_challenge":
			p.Set(field, strings.Repeat("A", 43))
		default:
			p.Set(field, "https://b.example/cb")
		}
		r, err := oauth.ParseRequest(p, c)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[r.Digest()]; twice {
			t.Errorf("a changed %q has the digest of a changed %q", field, other)
		}
		seen[r.Digest()] = field
	}
}

func TestScope(t *testing.T) {
	s := oauth.ParseScope("  b a  b ")
	if s.String() != "a b" || !s.Has("a") || s.Has("c") {
		t.Errorf("scope %q", s)
	}
	if !s.Within([]string{"a", "b", "c"}) || s.Within([]string{"a"}) || !oauth.ParseScope("").Within(nil) {
		t.Error("Within does not tell subsets")
	}
}
