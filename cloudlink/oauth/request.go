package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"

	"demarc/internal/account"
)

// Request is an authorisation request whose client and redirect URI are known to be right, and whose other parameters
// have been checked.
type Request struct {
	Client      Client
	RedirectURI string
	State       string
	Scope       Scope
	Challenge   string // PKCE, S256
}

// Destination checks the two parameters that decide where a browser may be sent: the client and its redirect URI. While
// either is wrong nobody is redirected anywhere (RFC 6749 §4.1.2.1).
func Destination(params url.Values, client Client) (string, error) {
	if len(params["client_id"]) != 1 || len(params["redirect_uri"]) != 1 {
		return "", refuse(InvalidRequest, "client_id and redirect_uri must be given, once each")
	}
	uri := params.Get("redirect_uri")
	if !slices.Contains(client.RedirectURIs, uri) {
		return "", refuse(InvalidRequest, "redirect_uri is not one that this app has registered")
	}
	return uri, nil
}

// ParseRequest checks the rest of an authorisation request. Its errors may be told to the client by redirect.
func ParseRequest(params url.Values, client Client) (Request, error) {
	if err := single(params); err != nil {
		return Request{}, err
	}
	r := Request{
		Client: client, RedirectURI: params.Get("redirect_uri"), State: params.Get("state"),
		Scope: ParseScope(params.Get("scope")), Challenge: params.Get("code_challenge"),
	}
	switch {
	case params.Get("response_type") == "":
		return r, refuse(InvalidRequest, "response_type is missing: send response_type=code")
	case params.Get("response_type") != "code":
		return r, refuse(UnsupportedResponseType, "only response_type=code is supported")
	case !client.May(AuthorizationCode):
		return r, refuse(UnauthorizedClient, "this client may not ask people for authorisation")
	case r.State == "" || len(r.State) > 512:
		return r, refuse(InvalidRequest, "state must be given, with at most 512 characters")
	case params.Get("code_challenge_method") != "S256" || !validChallenge(r.Challenge):
		// Without a method RFC 7636 §4.3 would mean "plain", which is not taken here.
		return r, refuse(InvalidRequest, "PKCE is required: send code_challenge and code_challenge_method=S256")
	case len(r.Scope) == 0:
		return r, refuse(InvalidScope, "scope is missing")
	case !r.Scope.Within(client.Scopes):
		return r, refuse(InvalidScope, "this app may not ask for all of these scopes")
	}
	return r, nil
}

// Digest names the request's content, so that a consent form can be tied to what it showed.
func (r Request) Digest() string {
	v := url.Values{
		"client": {r.Client.ID}, "redirect": {r.RedirectURI}, "state": {r.State},
		"scope": {r.Scope.String()}, "challenge": {r.Challenge},
	}
	return account.Secret(v.Encode()).Hash()
}

// single refuses repeated parameters (RFC 6749 §3.1, §3.2).
func single(params url.Values) error {
	for name, values := range params {
		if len(values) > 1 {
			return refuse(InvalidRequest, "parameter "+printable(name)+" is given more than once")
		}
	}
	return nil
}

// printable keeps what an error description may hold (RFC 6749 §5.2).
func printable(s string) string {
	out := make([]byte, 0, 64)
	for i := 0; i < len(s) && i < 64; i++ {
		if c := s[i]; c > ' ' && c < 0x7f && c != '"' && c != '\\' {
			out = append(out, c)
		}
	}
	return string(out)
}

// validChallenge accepts the base64url of a SHA-256 alone.
func validChallenge(s string) bool {
	sum, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(sum) == sha256.Size
}

// validVerifier checks length and alphabet (RFC 7636 §4.1).
func validVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-' || c == '.' || c == '_' || c == '~':
		default:
			return false
		}
	}
	return true
}

// challengeOf is S256 of RFC 7636 §4.6.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
