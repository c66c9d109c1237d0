package telephony

import (
	"fmt"
	"strings"
)

// AoR is an address of record (RFC 3261 §6): who is called, whatever phone they are at. User is compared with case,
// Domain without; Domain is kept in lower case.
type AoR struct {
	User   string
	Domain string
}

// NewAoR returns the AoR with its domain in canonical form.
func NewAoR(user, domain string) AoR {
	return AoR{User: user, Domain: strings.ToLower(strings.TrimSuffix(domain, "."))}
}

// ParseAoR reads "user@domain", with or without "sip:" or "sips:".
func ParseAoR(s string) (AoR, error) {
	rest := s
	if len(rest) > 4 && strings.EqualFold(rest[:4], "sip:") {
		rest = rest[4:]
	} else if len(rest) > 5 && strings.EqualFold(rest[:5], "sips:") {
		rest = rest[5:]
	}
	user, domain, ok := strings.Cut(rest, "@")
	if !ok || user == "" || domain == "" || strings.ContainsAny(domain, "@;?<> ") {
		return AoR{}, fmt.Errorf("%q is not an address of record: write user@domain", s)
	}
	return NewAoR(user, domain), nil
}

// String returns "user@domain".
func (a AoR) String() string { return a.User + "@" + a.Domain }

// IsZero reports whether there is no AoR.
func (a AoR) IsZero() bool { return a == AoR{} }

// Transport is a SIP transport (RFC 3261 §18, RFC 7118).
type Transport string

// The transports.
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
	WS  Transport = "ws"
	WSS Transport = "wss"
)

// Stream reports whether the transport is connection oriented, so that a phone is reached only by the connection that
// it opened itself.
func (t Transport) Stream() bool { return t != UDP }

// Secure reports whether the transport is encrypted.
func (t Transport) Secure() bool { return t == TLS || t == WSS }
