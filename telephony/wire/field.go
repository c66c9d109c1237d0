package wire

import "bytes"

// field is a header that the scan keeps.
type field uint8

const (
	other field = iota
	via
	from
	to
	callID
	cseq
	contentLength
	contentType
	maxForwards
	expires
	userAgent
	authorization
	contact
	path
	route
	require
	proxyRequire
	supported
	proxyAuthorization
)

// fieldOf finds a header by its name without regard to case, or by its compact form (RFC 3261 §7.3.3).
func fieldOf(name []byte) field {
	switch string(name) { // as nearly everybody writes what every REGISTER has
	case "Via":
		return via
	case "From":
		return from
	case "To":
		return to
	case "Call-ID":
		return callID
	case "CSeq":
		return cseq
	case "Contact":
		return contact
	case "Content-Length":
		return contentLength
	case "Max-Forwards":
		return maxForwards
	case "User-Agent":
		return userAgent
	case "Expires":
		return expires
	case "Authorization":
		return authorization
	}
	if len(name) == 1 {
		return compact(name[0] | 0x20)
	}
	f := byLength(name)
	if f != other && EqualFold(name, names[f]) {
		return f
	}
	return other
}

func compact(c byte) field {
	switch c {
	case 'v':
		return via
	case 'f':
		return from
	case 't':
		return to
	case 'i':
		return callID
	case 'l':
		return contentLength
	case 'c':
		return contentType
	case 'm':
		return contact
	case 'k':
		return supported
	}
	return other
}

// byLength names the one header that a name of this length and first letter can be.
func byLength(name []byte) field {
	first := name[0] | 0x20
	switch len(name) {
	case 2:
		return to
	case 3:
		return via
	case 4:
		switch first {
		case 'f':
			return from
		case 'c':
			return cseq
		case 'p':
			return path
		}
	case 5:
		return route
	case 7:
		switch first {
		case 'c':
			if name[1]|0x20 == 'a' {
				return callID
			}
			return contact
		case 'e':
			return expires
		case 'r':
			return require
		}
	case 9:
		return supported
	case 10:
		return userAgent
	case 12:
		if first == 'm' {
			return maxForwards
		}
		return contentType
	case 13:
		if first == 'a' {
			return authorization
		}
		return proxyRequire
	case 14:
		return contentLength
	case 19:
		return proxyAuthorization
	}
	return other
}

// names are the canonical ones.
var names = [...]string{
	other: "header", via: "Via", from: "From", to: "To", callID: "Call-ID", cseq: "CSeq", contentLength: "Content-Length",
	contentType: "Content-Type", maxForwards: "Max-Forwards", expires: "Expires", userAgent: "User-Agent",
	authorization: "Authorization", contact: "Contact", path: "Path", route: "Route", require: "Require",
	proxyRequire: "Proxy-Require", supported: "Supported", proxyAuthorization: "Proxy-Authorization",
}

// String returns the canonical name.
func (f field) String() string { return names[f] }

// EqualFold compares ASCII without regard to case and without allocation.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	if string(b) == s { // nearly always
		return true
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// class says what a byte may be part of: one look for each byte of a message.
type class uint8

const (
	inToken   class = 1 << iota // a token (RFC 3261 §25.1): letters, digits and -.!%*_+`'~
	inURI                       // an absolute URI, whatever its scheme
	inLine                      // the Request-URI of a start line, where more is let through to be judged
	inVisible                   // a part of a SIP URI, which no second '@' stands in
	inHost                      // a host's name or IPv4 address
)

var classes = classify()

func classify() (all [256]class) {
	for i := range all {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80
		structure := c == '<' || c == '>' || c == '"'
		if letter || '0' <= c && c <= '9' || bytes.IndexByte([]byte("-.!%*_+`'~"), c) >= 0 {
			all[i] |= inToken
		}
		if letter || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_' {
			all[i] |= inHost
		}
		if c > ' ' && c < 0x7f && !structure {
			all[i] |= inURI
		}
		if c != ' ' && c != '\t' && c != 0 && !structure {
			all[i] |= inLine
		}
		if c > ' ' && c != 0x7f && c != '@' && !structure {
			all[i] |= inVisible
		}
	}
	return all
}

// all reports whether every byte is of the class.
func all(b []byte, of class) bool {
	for _, c := range b {
		if classes[c]&of == 0 {
			return false
		}
	}
	return true
}

func allToken(b []byte) bool { return len(b) > 0 && all(b, inToken) }

// TokenLength returns how many of the first bytes are those of a token (RFC 3261 §25.1).
func TokenLength(b []byte) int {
	for i := range b {
		if !all(b[i:i+1], inToken) {
			return i
		}
	}
	return len(b)
}

// indexSpace returns where the first white space is, or -1.
func indexSpace(b []byte) int {
	for i, c := range b {
		if isSpace(c) {
			return i
		}
	}
	return -1
}

// trim cuts linear white space off both ends: nearly always there is none.
func trim(b []byte) []byte {
	if len(b) == 0 || b[0] > ' ' && b[len(b)-1] > ' ' {
		return b
	}
	return trimmed(b)
}

func trimmed(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// Number reads an unsigned decimal of at most 32 bits.
func Number(b []byte) (uint32, bool) {
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > 1<<32-1 {
			return 0, false
		}
	}
	return uint32(n), len(b) > 0
}
