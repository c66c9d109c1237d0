package digest

import (
	"errors"
	"fmt"
	"strings"
)

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
	switch text { // as nearly everybody writes them
	case "username":
		return username
	case "realm":
		return realm
	case "nonce":
		return nonceName
	case "uri":
		return uri
	case "response":
		return response
	case "algorithm":
		return algorithm
	case "qop":
		return qop
	case "nc":
		return nonceCount
	case "cnonce":
		return cnonce
	}
	for n, known := range names {
		if len(text) == len(known) && strings.EqualFold(text, known) {
			return name(n)
		}
	}
	return unknown
}

// parameters are those of one header.
type parameters struct {
	known  [unknown]parameter // those without a name are not there
	others []string           // names of the others
	count  int
}

// add reports whether the parameter is the first of its name.
func (l *parameters) add(p *parameter) bool {
	l.count++
	if n := nameOf(p.name); n != unknown {
		again := l.has(n)
		l.known[n] = *p
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

// parameter reads the next one.
func (s *scanner) parameter() (p parameter, err error) {
	p.name = s.token()
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
	rest, plain := s.rest, 0
	for plain < len(rest) && quotable[rest[plain]] {
		plain++
	}
	if plain < len(rest) && rest[plain] == '"' { // nearly always
		s.rest = rest[plain+1:]
		return rest[:plain], false, true
	}
	return s.unescaped(plain)
}

// unescaped is quoted for what does not stand for itself from a place on.
func (s *scanner) unescaped(plain int) (value string, escaped, ok bool) {
	var b strings.Builder
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

// quotable says of each byte whether it stands for itself in a quoted string: nearly all do.
var quotable = func() (set [256]bool) {
	for c := range set {
		set[c] = c >= ' ' && c != '"' && c != '\\' && c != 0x7f
	}
	return set
}()

func (s *scanner) token() string {
	rest, end := s.rest, 0
	for end < len(rest) && tokenBytes[rest[end]] {
		end++
	}
	s.rest = rest[end:]
	return rest[:end]
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
	rest, n := s.rest, 0
	for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t') {
		n++
	}
	if n > 0 {
		s.rest = rest[n:]
	}
	return n
}

// tokenBytes says of each byte whether it may stand in a token (RFC 3261 §25.1), lowerHexBytes whether it is a lower-case hex
// digit. Letters and digits come in turn, so that the processor would foretell comparisons badly.
var (
	tokenBytes    = bytesOf("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.!%*_+`'~")
	lowerHexBytes = bytesOf("0123456789abcdef")
)

func bytesOf(text string) (set [256]bool) {
	for i := range len(text) {
		set[text[i]] = true
	}
	return set
}
