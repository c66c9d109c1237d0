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
	s := scanner{rest: strings.Trim(value, " \t")}
	if !strings.EqualFold(s.token(), "Digest") || s.skipSpace() == 0 {
		return Response{}, fmt.Errorf("%w: the scheme is not Digest", ErrMalformed)
	}
	var list parameters
	for {
		p, err := s.parameter()
		if err != nil {
			return Response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if !list.add(p) {
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
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == size
}

// parameter is one name=value of the header.
type parameter struct {
	name, value     string
	quoted, escaped bool
}

// name is a parameter that is looked at.
type name uint8

const (
	username name = iota
	realm
	nonceName
	uri
	response // up to here every answer has them
	algorithm
	qop
	nonceCount
	cnonce
	userhash
	encodedUsername
	unknown
)

var names = [unknown]string{"username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce", "userhash", "username*"}

// nameOf finds a parameter by its name without regard to case.
func nameOf(text string) name {
	n := unknown
	switch len(text) {
	case 2:
		n = nonceCount
	case 3:
		if n = uri; text[0]|0x20 == 'q' {
			n = qop
		}
	case 5:
		if n = realm; text[0]|0x20 == 'n' {
			n = nonceName
		}
	case 6:
		n = cnonce
	case 8:
		switch text[4] | 0x20 {
		case 'n':
			n = username
		case 'h':
			n = userhash
		default:
			n = response
		}
	case 9:
		if n = algorithm; text[0]|0x20 == 'u' {
			n = encodedUsername
		}
	}
	if n != unknown && !strings.EqualFold(text, names[n]) {
		return unknown
	}
	return n
}

// parameters are those of one header.
type parameters struct {
	known  [unknown]parameter // those without a name are not there
	others []string           // names of the others
	count  int
}

// add reports whether the parameter is the first of its name.
func (l *parameters) add(p parameter) bool {
	l.count++
	if n := nameOf(p.name); n != unknown {
		again := l.has(n)
		l.known[n] = p
		return !again
	}
	for _, other := range l.others {
		if strings.EqualFold(other, p.name) {
			return false
		}
	}
	l.others = append(l.others, p.name)
	return true
}

func (l *parameters) has(n name) bool { return l.known[n].name != "" }

// scanner walks over a header value; it never goes back, so that its cost is linear.
type scanner struct{ rest string }

func (s *scanner) parameter() (parameter, error) {
	p := parameter{name: s.token()}
	s.skipSpace()
	if p.name == "" || !s.accept('=') {
		return p, errors.New("a parameter is not name=value")
	}
	s.skipSpace()
	if !s.accept('"') {
		if p.value = s.token(); p.value == "" {
			return p, fmt.Errorf("%s has no value", p.name)
		}
		return p, nil
	}
	p.quoted = true
	var ok bool
	if p.value, p.escaped, ok = s.quoted(); !ok {
		return p, fmt.Errorf("%s has a bad quoted string", p.name)
	}
	return p, nil
}

// quoted reads up to the closing quote and takes escapes away (RFC 3261 §25.1 quoted-string).
func (s *scanner) quoted() (value string, escaped, ok bool) {
	var b strings.Builder
	plain := 0
	for plain < len(s.rest) && quotable(s.rest[plain]) {
		plain++
	}
	for i := plain; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			value = s.rest[:i]
			if escaped {
				value = b.String()
			}
			s.rest = s.rest[i+1:]
			return value, escaped, true
		case c == '\\':
			if i+1 == len(s.rest) || s.rest[i+1] < ' ' {
				return "", false, false
			}
			if !escaped {
				b.WriteString(s.rest[:i])
				escaped = true
			}
			i++
			b.WriteByte(s.rest[i])
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", false, false
		case escaped:
			b.WriteByte(c)
		}
	}
	return "", false, false
}

// quotable reports whether c stands for itself in a quoted string: nearly all do.
func quotable(c byte) bool { return c >= ' ' && c != '"' && c != '\\' && c != 0x7f }

func (s *scanner) token() string {
	i := 0
	for i < len(s.rest) && tokenByte(s.rest[i]) {
		i++
	}
	t := s.rest[:i]
	s.rest = s.rest[i:]
	return t
}

func (s *scanner) accept(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// skipSpace skips linear white space and returns how much there was. Folded lines arrive unfolded.
func (s *scanner) skipSpace() int {
	n := 0
	for n < len(s.rest) && (s.rest[n] == ' ' || s.rest[n] == '\t') {
		n++
	}
	s.rest = s.rest[n:]
	return n
}

// tokenByte reports whether c may stand in a token (RFC 3261 §25.1).
func tokenByte(c byte) bool {
	const low, high = 0x3ff6ca200000000, 0x47ffffff87fffffe // a bit for each character below 64, and below 128
	switch {
	case c < 64:
		return low>>c&1 == 1
	case c < 128:
		return high>>(c-64)&1 == 1
	}
	return false
}
