package registration

import (
	"strings"
	"unicode/utf8"
)

// The longest texts that a REGISTER may bring into the store, in bytes.
const (
	maxURI       = 2048 // push parameters are long
	maxInstance  = 256
	maxCallID    = 256
	maxUser      = 128
	maxUserAgent = 128
	maxContacts  = 16 // in one request
)

// fault says which rule of form a REGISTER breaks, or nothing. It is the reason phrase of the 400.
func (r *Request) fault() string {
	switch {
	case r.Star && (len(r.Contacts) > 0 || r.Expires != 0):
		return "Contact * Needs Expires 0 And Nothing Else" // RFC 3261 §10.3 step 6
	case len(r.Contacts) > maxContacts:
		return "Too Many Contacts In One Request"
	case r.CallID == "" || len(r.CallID) > maxCallID || !storable(r.CallID):
		return "Bad Call-ID"
	case r.To.User == "" || !PossibleUser(r.To.User):
		return "Bad To"
	}
	stay, flows := 0, 0
	for _, c := range r.Contacts {
		if text := c.fault(); text != "" {
			return text
		}
		if !c.ends(r) {
			stay++
			flows += min(c.flow(r), 1)
		}
	}
	if stay > 1 && flows > 0 {
		return "A Contact With reg-id Comes Alone" // RFC 5626 §6
	}
	return ""
}

// PossibleUser reports whether a user part may stand in the directory.
func PossibleUser(user string) bool { return len(user) <= maxUser && storable(user) }

func (c Contact) fault() string {
	scheme, rest, _ := strings.Cut(c.URI, ":")
	switch {
	case !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips"), rest == "":
		return "Contact Is Not A SIP URI"
	case len(c.URI) > maxURI || !storable(c.URI) || strings.ContainsAny(c.URI, "<> \"\r\n"):
		return "Bad Contact"
	case len(c.Instance) > maxInstance || !storable(c.Instance):
		return "Bad Instance"
	case c.RegID < 0 || c.Q < 0 || c.Q > 1000:
		return "Bad Contact Parameter"
	}
	return ""
}

// storable reports whether every database takes the text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// clip makes a text that only informs storable and at most n bytes long.
func clip(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") // a rune cut in two goes whole
}
