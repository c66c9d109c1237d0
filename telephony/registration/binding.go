package registration

import (
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/wire"
)

// Binding is one contact of an AoR: one phone, reached by its flow.
type Binding struct {
	Account      account.ID
	Node         string
	AoR          telephony.AoR
	Key          string // names the binding within its AoR, see ContactKey
	Contact      string // the URI exactly as the phone wrote it
	Instance     string
	RegID        int
	Q            int // thousandths
	CallID       string
	CSeq         uint32
	Flow         telephony.Flow
	Path         string // Path values to be sent as Route, topmost first, joined by commas (RFC 3327)
	Reachable    bool   // false once its connection has closed: it waits for the phone to come back, or to expire
	UserAgent    string
	RegisteredAt time.Time // since when it stands without a gap
	RefreshedAt  time.Time
	Expires      time.Time

	// Row names its row in the store for refreshes. It is random, and another one whenever the binding comes anew, so that
	// the refresh of a row that another node has taken over finds nothing. 0: the store does not know it.
	Row int64

	// Proof names the credential that the phone last proved itself with (digest.Hash.Mark); in memory alone. 0: not since the node
	// began, or at another one.
	Proof uint32
}

// Key names a binding in the store.
type Key struct {
	Account account.ID
	AoR     telephony.AoR
	Key     string
}

// ID returns the binding's name in the store.
func (b Binding) ID() Key { return Key{Account: b.Account, AoR: b.AoR, Key: b.Key} }

// Moved reports whether the phone is reached in another way than before.
func (b *Binding) Moved(old *Binding) bool {
	return !b.Flow.Same(old.Flow) || b.Contact != old.Contact || b.Path != old.Path || b.Q != old.Q
}

// OwnsStream reports whether the phone is gone when the connection is. One behind a proxy is not: the connection is the
// proxy's, who carries many phones over it, closes it when nothing is to be said, and is found by the Path (RFC 3327 §5.4).
func (b *Binding) OwnsStream() bool { return b.Reachable && b.Flow.Transport.Stream() && b.Path == "" }

// Change tells what happened to the binding.
func (b Binding) Change(kind telephony.RegistrationChangeKind, at time.Time) telephony.RegistrationChange {
	c := telephony.RegistrationChange{
		Account: b.Account, At: at, Kind: kind, AoR: b.AoR, Instance: b.Instance, Contact: PublicContact(b.Contact),
		UserAgent: b.UserAgent, Transport: b.Flow.Transport, Remote: b.Flow.RemoteText(),
	}
	if kind == telephony.BindingRegistered {
		c.Expires = b.Expires
	}
	return c
}

// share gives a binding out of a request texts that may be kept: those of the old one where they are the same, else copies.
func (b *Binding) share(old *Binding) {
	for _, text := range [...]struct {
		own *string
		old string
	}{
		{&b.Key, old.Key}, {&b.Contact, old.Contact}, {&b.Instance, old.Instance}, {&b.CallID, old.CallID},
		{&b.UserAgent, old.UserAgent}, {&b.Path, old.Path},
	} {
		if *text.own == text.old {
			*text.own = text.old
		} else {
			*text.own = strings.Clone(*text.own)
		}
	}
}

// Remaining returns the whole seconds until the binding ends, at least 1.
func (b *Binding) Remaining(now time.Time) int { return max(1, int(b.Expires.Sub(now)/time.Second)) }

// What the keys of ContactKey begin with, and what stands between instance and reg-id.
const (
	URIKey      = "uri:"
	InstanceKey = "instance:"
	RegIDKey    = ";reg-id="
)

// ContactKey returns the key of a contact. With instance and reg-id it is those two, whatever the URI (RFC 5626 §6);
// else the parts of the URI that make two URIs differ (RFC 3261 §19.1.4).
func ContactKey(c Contact, outbound bool) string {
	if c.key != "" {
		return c.key
	}
	if outbound && c.Instance != "" && c.RegID > 0 {
		return InstanceKey + telephony.CanonicalInstance(c.Instance) + RegIDKey + itoa(c.RegID)
	}
	var room [256]byte
	return string(appendURIKey(room[:0], c.URI))
}

func appendURIKey(dst []byte, uri string) []byte { return appendCanonical(append(dst, "uri:"...), uri) }

// NameContacts finds the contacts' keys, which the rules compare often, in memory that the next request gets.
func (r *Request) NameContacts() {
	r.keys = r.keys[:0]
	for i := range r.Contacts {
		c := &r.Contacts[i]
		if c.Instance != "" && r.Outbound {
			c.key = ContactKey(*c, true)
			continue
		}
		start := len(r.keys)
		r.keys = appendURIKey(r.keys, c.URI)
		c.key = borrowed(r.keys[start:])
	}
}

// appendCanonical reduces a SIP URI to scheme, user, host, port and transport.
func appendCanonical(key []byte, uri string) []byte {
	scheme, user, rest := splitURI(uri)
	rest, _, _ = strings.Cut(rest, "?")
	host, parameters, more := strings.Cut(rest, ";")
	key = append(append(key, strings.ToLower(scheme)...), ':')
	if strings.IndexByte(user, '%') >= 0 { // nearly never
		user = wire.CanonicalUser([]byte(user))
	}
	key = append(append(key, user...), strings.ToLower(host)...)
	for more {
		var p string
		p, parameters, more = strings.Cut(parameters, ";")
		if name, value, _ := strings.Cut(p, "="); strings.EqualFold(name, "transport") {
			key = append(append(key, ";transport="...), strings.ToLower(value)...)
		}
	}
	return key
}

// splitURI cuts a SIP URI behind its scheme and behind its user, the '@' included, which may be missing. The user may hold what
// begins parameters and headers elsewhere, but nothing else holds an '@' (RFC 3261 §25.1).
func splitURI(uri string) (scheme, user, rest string) {
	scheme, rest, _ = strings.Cut(uri, ":")
	at := strings.LastIndexByte(rest, '@') + 1
	return scheme, rest[:at], rest[at:]
}

// PublicContact takes away what a contact may hold that support staff need not see: a password in the user part
// (RFC 3261 §19.1.1) and push tokens (RFC 8599).
func PublicContact(uri string) string {
	scheme, user, rest := splitURI(uri)
	if name, _, secret := strings.Cut(user, ":"); secret {
		user = name + "@"
	}
	parts := strings.Split(rest, ";")
	kept := parts[:1]
	for _, p := range parts[1:] {
		if !strings.HasPrefix(strings.ToLower(p), "pn-") {
			kept = append(kept, p)
		}
	}
	return scheme + ":" + user + strings.Join(kept, ";")
}
