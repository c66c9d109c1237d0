package callswitch

import "strings"

// anonymous is who is told to be calling when the caller does not want to be (RFC 3323 §4.1.1.3).
const anonymous = `"Anonymous" <sip:anonymous@anonymous.invalid>`

// hidden reports whether the caller wants his identity kept from who is called (RFC 3323 §4.2, RFC 3325 §9.3). Contact, Via and media tell nothing of
// him anyway.
func (c *Call) hidden() bool {
	for _, h := range c.Asked.Headers {
		if h.Name != "Privacy" {
			continue
		}
		for value := range strings.FieldsFuncSeq(h.Value, func(r rune) bool { return r == ';' || r == ',' || r == ' ' || r == '\t' }) {
			if strings.EqualFold(value, "user") || strings.EqualFold(value, "id") {
				return true
			}
		}
	}
	return false
}

// caller is the From of a phone that is called.
func (t *turn) caller() string {
	who := t.shown()
	switch {
	case who != t.Asked.Caller:
		return nameAddr("", who)
	case t.hidden():
		return anonymous
	}
	return nameAddr(t.Asked.Name, who)
}
