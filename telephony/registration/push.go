package registration

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Push is how a sleeping phone is woken: the pn-* parameters of its Contact URI, percent-decoded (RFC 8599 §4.1, §8).
type Push struct {
	Provider string // pn-provider: apns, fcm, webpush …
	Param    string // pn-param, what it means depends on the provider
	PRID     string // pn-prid, the address at the provider; worth a secret
}

// The parameters of RFC 8599, and of the phones that came before it.
func pushPart(name string) string {
	switch strings.ToLower(name) {
	case "pn-provider", "pn-type":
		return "provider"
	case "pn-param", "app-id":
		return "param"
	case "pn-prid", "pn-tok":
		return "prid"
	}
	return ""
}

const (
	maxProvider = 64
	maxParam    = 256
	maxPRID     = 1536
)

// ParsePush reads the push parameters of a Contact URI. fault says what is wrong with them, for support staff; the
// result then wakes nobody. A Contact with a provider alone only asks whether it is served (RFC 8599 §4.1.5).
func ParsePush(contact string) (p Push, fault string) {
	_, _, rest := splitURI(contact)
	rest, _, _ = strings.Cut(rest, "?")
	_, parameters, _ := strings.Cut(rest, ";")
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, raw, _ := strings.Cut(parameter, "=")
		part := pushPart(name)
		if part == "" {
			continue
		}
		value, err := url.PathUnescape(raw)
		if err != nil || !shown(value) {
			return Push{}, "its parameter " + strings.ToLower(name) + " cannot be decoded"
		}
		p.set(part, value)
	}
	return p.check()
}

func (p *Push) set(part, value string) {
	switch part {
	case "provider":
		p.Provider = value
	case "param":
		p.Param = value
	case "prid":
		p.PRID = value
	}
}

func (p Push) check() (Push, string) {
	switch {
	case len(p.Provider) > maxProvider || len(p.Param) > maxParam || len(p.PRID) > maxPRID:
		return Push{}, "its push parameters are too long"
	case p.PRID != "" && p.Provider == "":
		return Push{}, "it has pn-prid but no pn-provider"
	case p.PRID == "" && p.Param != "" && p.Provider != "":
		return Push{}, "it has pn-provider and pn-param but an empty pn-prid"
	case p.PRID == "" && p.Provider == "":
		return Push{}, ""
	}
	return p, ""
}

// Wakes reports whether a push reaches the phone.
func (p Push) Wakes() bool { return p.PRID != "" }

// shown reports whether a text is valid and free of control characters.
func shown(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// AsksForPush reports whether a contact in the reply may hold a push token.
func (r *Reply) AsksForPush() bool {
	for i := range r.Bindings {
		if asksForPush(r.Bindings[i].URI) {
			return true
		}
	}
	return false
}

// asksForPush reports whether a contact speaks of push at all: most do not, and are not looked at further.
func asksForPush(uri string) bool {
	for {
		i := strings.IndexByte(uri, '-') // there are few
		if i < 0 {
			return false
		}
		if i >= 2 && uri[i-2]|0x20 == 'p' && uri[i-1]|0x20 == 'n' {
			return true
		}
		uri = uri[i+1:]
	}
}
