package wire

import (
	"bytes"
	"net/netip"
	"strings"
)

// URI is a sip or sips URI (RFC 3261 §19.1.1).
type URI struct {
	Secure  bool   // sips
	User    []byte // escapes untouched; empty when there is none
	Host    []byte // an IPv6 address without brackets
	Port    int    // 0 when absent
	Params  []byte // from the first ';' on
	Headers []byte // after '?'
}

// ParseURI reads a sip or sips URI. ok is false for other schemes and for what is malformed.
func ParseURI(b []byte) (u URI, ok bool) {
	rest, ok := u.scheme(b)
	if !ok {
		return URI{}, false
	}
	if at := bytes.IndexByte(rest, '@'); at >= 0 {
		user, _, _ := bytes.Cut(rest[:at], []byte(":")) // a password in a URI is nobody's business (§19.1.1)
		if len(user) == 0 || !visible(rest[:at]) || !escapes(rest[:at]) {
			return URI{}, false
		}
		u.User, rest = user, rest[at+1:]
	}
	if i := bytes.IndexByte(rest, '?'); i >= 0 {
		u.Headers, rest = rest[i+1:], rest[:i]
	}
	if i := bytes.IndexByte(rest, ';'); i >= 0 {
		u.Params, rest = rest[i:], rest[:i]
	}
	if !visible(u.Headers) || !visible(u.Params) {
		return URI{}, false
	}
	u.Host, u.Port, ok = hostPort(rest)
	return u, ok
}

func (u *URI) scheme(b []byte) (rest []byte, ok bool) {
	if len(b) > 4 && EqualFold(b[:4], "sip:") {
		return b[4:], true
	}
	if len(b) > 5 && EqualFold(b[:5], "sips:") {
		u.Secure = true
		return b[5:], true
	}
	return nil, false
}

// Scheme returns what stands before the colon, or nothing when that is no scheme (RFC 3986 §3.1).
func Scheme(b []byte) []byte {
	if i := usualScheme(b); i > 0 {
		return b[:i]
	}
	i := bytes.IndexByte(b, ':')
	if i < 1 || !allToken(b[:i]) || bytes.ContainsAny(b[:i], "!%*_`'~") {
		return nil
	}
	return b[:i]
}

// usualScheme returns the length of the scheme where it is sip or sips.
func usualScheme(b []byte) int {
	switch {
	case len(b) > 3 && b[3] == ':' && EqualFold(b[:3], "sip"):
		return 3
	case len(b) > 4 && b[4] == ':' && EqualFold(b[:4], "sips"):
		return 4
	}
	return 0
}

// visible reports whether b could stand in a URI: no white space, control bytes, quotes, brackets of a name-addr, or a
// second '@'.
func visible(b []byte) bool { return all(b, inVisible) }

// escapes reports whether every '%' starts an escape.
func escapes(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '%' {
			continue
		}
		if i+2 >= len(b) || unhex(b[i+1]) < 0 || unhex(b[i+2]) < 0 {
			return false
		}
		i += 2
	}
	return true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// hostPort reads "host", "host:port" or "[v6]:port".
func hostPort(b []byte) (host []byte, port int, ok bool) {
	b = trim(b)
	var rest []byte
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return nil, 0, false
		}
		host, rest = b[1:end], b[end+1:]
		if a, err := netip.ParseAddr(string(host)); err != nil || !a.Is6() || a.Zone() != "" {
			return nil, 0, false
		}
	} else {
		end := bytes.IndexByte(b, ':')
		if end < 0 {
			end = len(b)
		}
		host, rest = trim(b[:end]), b[end:]
		if !hostname(host) {
			return nil, 0, false
		}
	}
	if len(rest) == 0 {
		return host, 0, true
	}
	rest = trim(rest)
	if len(rest) == 0 || rest[0] != ':' {
		return nil, 0, false
	}
	n, ok := Number(trim(rest[1:]))
	if !ok || n == 0 || n > 65535 {
		return nil, 0, false
	}
	return host, int(n), true
}

// hostname takes underscores too: networks have them, whatever RFC 3261 §25.1 says.
func hostname(b []byte) bool { return len(b) > 0 && len(b) <= 255 && all(b, inHost) }

// CanonicalUser returns the user part as it is compared (RFC 3261 §19.1.4): an escape of a character that needs none
// stands for the character, every other escape stays, in upper case. So it never holds NUL, controls or invalid UTF-8.
func CanonicalUser(user []byte) string {
	if bytes.IndexByte(user, '%') < 0 {
		return clean(user)
	}
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		if user[i] != '%' || i+2 >= len(user) || unhex(user[i+1]) < 0 || unhex(user[i+2]) < 0 {
			escapeByte(&b, user[i])
			continue
		}
		c := byte(unhex(user[i+1])<<4 | unhex(user[i+2]))
		if plainInUser(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
		i += 2
	}
	return b.String()
}

// isCanonicalUser reports whether CanonicalUser changes nothing.
func isCanonicalUser(user []byte) bool {
	for _, c := range user {
		if c == '%' || c >= 0x80 || c < ' ' {
			return false
		}
	}
	return true
}

const upperHex = "0123456789ABCDEF"

// clean escapes what is not ASCII, so that the result is valid text whatever arrived.
func clean(user []byte) string {
	for i := range user {
		if user[i] >= 0x80 || user[i] < ' ' {
			var b strings.Builder
			for _, c := range user {
				escapeByte(&b, c)
			}
			return b.String()
		}
	}
	return string(user)
}

func escapeByte(b *strings.Builder, c byte) {
	if c < 0x80 && c >= ' ' {
		b.WriteByte(c)
		return
	}
	b.WriteByte('%')
	b.WriteByte(upperHex[c>>4])
	b.WriteByte(upperHex[c&15])
}

// plainInUser reports whether c may stand unescaped in a user part: unreserved and user-unreserved (RFC 3261 §25.1).
func plainInUser(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return bytes.IndexByte([]byte("-_.!~*'()&=+$,;?/"), c) >= 0
}
