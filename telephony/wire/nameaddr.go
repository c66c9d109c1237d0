package wire

import (
	"bytes"
	"unsafe"

	"demarc/telephony"
)

// NameAddr is a From, To, Contact, Path or Route value (RFC 3261 §20.10, §25.1).
type NameAddr struct {
	Display []byte // as it stands, quotes included
	URI     []byte
	Params  []byte // header parameters from the first ';' on
}

// ParseNameAddr reads one value. ok is false when it is malformed.
func ParseNameAddr(b []byte) (n NameAddr, ok bool) {
	open := indexAngle(b)
	if open < 0 {
		return addrSpec(b)
	}
	n.Display = trim(b[:open])
	end := bytes.IndexByte(b[open:], '>')
	if end < 0 || !displayName(n.Display) {
		return NameAddr{}, false
	}
	n.URI = b[open+1 : open+end]
	n.Params = trim(b[open+end+1:])
	if !visibleURI(n.URI) || !validParams(n.Params) {
		return NameAddr{}, false
	}
	return n, true
}

// AoR returns the address of record that the URI is, when it is a sip or sips one.
func (n NameAddr) AoR() (telephony.AoR, bool) {
	u, ok := ParseURI(n.URI)
	if !ok {
		return telephony.AoR{}, false
	}
	return telephony.NewAoR(CanonicalUser(u.User), string(u.Host)), true
}

// borrowedAoR is AoR with texts that are the message's own memory where nothing in them has to be written otherwise.
func (n NameAddr) borrowedAoR() (telephony.AoR, bool) {
	u, ok := ParseURI(n.URI)
	if !ok {
		return telephony.AoR{}, false
	}
	user := ""
	if isCanonicalUser(u.User) {
		user = Borrowed(u.User)
	} else {
		user = CanonicalUser(u.User)
	}
	return telephony.NewAoR(user, Borrowed(u.Host)), true
}

// Borrowed returns bytes of a message as a text without a copy: it is good as long as the message is.
func Borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// indexAngle returns where the first '<' outside of a quoted string is, or -1.
func indexAngle(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == '<' && !quoted:
			return i
		}
	}
	return -1
}

// addrSpec reads a URI without brackets: parameters belong to the header, and the URI may hold no comma, question mark
// or semicolon (§20.10).
func addrSpec(b []byte) (n NameAddr, ok bool) {
	end := bytes.IndexByte(b, ';')
	if end < 0 {
		end = len(b)
	}
	n.URI, n.Params = trim(b[:end]), trim(b[end:])
	if !visibleURI(n.URI) || bytes.ContainsAny(n.URI, "?,") || !validParams(n.Params) {
		return NameAddr{}, false
	}
	return n, true
}

// displayName takes a quoted string, or words. More than tokens is let through (accented letters without quotes are
// common), but nothing that could be read as structure.
func displayName(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != '"' {
		return !bytes.ContainsAny(b, "\"<>,;@\x00")
	}
	return quotedString(b)
}

// visibleURI takes any absolute URI; what a scheme other than sip means is for the caller to say.
func visibleURI(b []byte) bool { return len(Scheme(b)) > 0 && all(b, inURI) }
