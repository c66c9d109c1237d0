package digest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrMalformed is wrapped by every error of ParseAuthorization.
var ErrMalformed = errors.New("malformed Authorization")

const (
	maxAuthorization = 4096 // bytes of one header value
	maxParameters    = 32
)

// Response is what a phone answered to a challenge: an Authorization value (RFC 7616 §3.4). It proves nothing until
// Verify says OK.
type Response struct {
	Username  string
	Realm     string
	Nonce     string
	URI       string // may differ from the Request-URI: proxies rewrite that one
	Response  string // lower-case hex
	Algorithm Algorithm
	QOP       string // "auth", or empty from a phone that speaks RFC 2069
	CNonce    string
	NC        uint32
	nc        string // as written, for the hash
}

// ParseAuthorization reads an Authorization value, "Digest k=v, …", in one pass. What could be read in two ways is
// refused: repeated parameters, unbalanced quotes, missing commas.
func ParseAuthorization(value string) (Response, error) {
	if len(value) > maxAuthorization {
		return Response{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxAuthorization)
	}
	s := scanner{rest: trimmed(value)}
	if scheme := s.token(); scheme != "Digest" && !strings.EqualFold(scheme, "Digest") || s.skipSpace() == 0 {
		return Response{}, fmt.Errorf("%w: the scheme is not Digest", ErrMalformed)
	}
	var list parameters
	for {
		p, err := s.parameter()
		if err != nil {
			return Response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if !list.add(&p) {
			return Response{}, fmt.Errorf("%w: %s stands twice", ErrMalformed, p.name)
		}
		if list.count > maxParameters {
			return Response{}, fmt.Errorf("%w: more than %d parameters", ErrMalformed, maxParameters)
		}
		s.skipSpace()
		if s.rest == "" {
			break
		}
		if !s.accept(',') {
			return Response{}, fmt.Errorf("%w: no comma after %s", ErrMalformed, p.name)
		}
		s.skipSpace()
	}
	r, err := newResponse(&list)
	if err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

// trimmed returns the value without white space around it: nearly always there is none.
func trimmed(value string) string {
	if value != "" && value[0] > ' ' && value[len(value)-1] > ' ' {
		return value
	}
	return strings.Trim(value, " \t")
}

func newResponse(list *parameters) (Response, error) {
	for n := username; n <= response; n++ {
		if !list.known[n].quoted {
			return Response{}, fmt.Errorf("%s is missing or not quoted", names[n])
		}
	}
	for _, n := range [...]name{nonceName, uri, cnonce} {
		if list.known[n].escaped {
			return Response{}, fmt.Errorf("%s with a backslash", names[n])
		}
	}
	r := Response{
		Username: list.known[username].value, Realm: list.known[realm].value, Nonce: list.known[nonceName].value,
		URI: list.known[uri].value, Response: list.known[response].value, Algorithm: MD5,
	}
	// userhash and username* are answers to offers that we never make (RFC 7616 §3.4.4).
	if list.has(encodedUsername) || strings.EqualFold(list.known[userhash].value, "true") {
		return Response{}, errors.New("hashed or encoded user name was not offered")
	}
	if list.has(algorithm) {
		var err error
		if r.Algorithm, err = ParseAlgorithm(list.known[algorithm].value); err != nil {
			return Response{}, err
		}
	}
	if !lowerHex(r.Response, r.Algorithm.Size()) {
		return Response{}, fmt.Errorf("response is not %d lower-case hex digits", r.Algorithm.Size())
	}
	return r, r.readProtection(list)
}

// readProtection reads qop with nc and cnonce, which come together or not at all (RFC 7616 §3.4).
func (r *Response) readProtection(list *parameters) error {
	if !list.has(qop) {
		if list.has(nonceCount) {
			return errors.New("nc without qop")
		}
		return nil // RFC 2069: Verify refuses it with its own verdict
	}
	offered, nc, own := list.known[qop].value, list.known[nonceCount].value, list.known[cnonce].value
	if !strings.EqualFold(offered, "auth") {
		return fmt.Errorf("qop %q was not offered", offered)
	}
	if !list.has(nonceCount) || own == "" {
		return errors.New("qop without nc or cnonce")
	}
	count, err := strconv.ParseUint(nc, 16, 32)
	if err != nil || len(nc) != 8 || count == 0 {
		return errors.New("nc is not 8 hex digits from 00000001")
	}
	r.QOP, r.CNonce, r.NC, r.nc = offered, own, uint32(count), nc
	return nil
}

func lowerHex(s string, size int) bool {
	for i := range len(s) {
		if !lowerHexBytes[s[i]] {
			return false
		}
	}
	return len(s) == size
}
