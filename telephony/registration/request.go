package registration

import (
	"slices"
	"strings"
	"time"
	"unsafe"

	"demarc/internal/account"
	"demarc/telephony"
)

// Request is a REGISTER as the registrar sees it. Its texts may be borrowed from the message that it was read from, which is
// good for a moment only: who keeps it keeps Own.
type Request struct {
	Flow      telephony.Flow
	Came      time.Time // zero: now
	Domain    string    // host of the Request-URI, lower case
	To        telephony.AoR
	From      telephony.AoR
	CallID    string
	CSeq      uint32
	Contacts  []Contact
	Star      bool     // Contact: *
	Expires   int      // the Expires header in seconds; -1 when absent
	Path      []string // Path values, topmost first (RFC 3327)
	PathKnown bool     // Supported: path
	PathAsked bool     // Require: path
	Proxied   bool     // it came over a proxy: more than one Via
	Pushers   []string // push providers that a proxy in between serves (Feature-Caps, RFC 8599 §5.6.1.1)
	Outbound  bool     // Supported: outbound (RFC 5626)
	Authorize []string // the values of the Authorization headers, "Digest …"
	UserAgent string

	keys []byte // of Contacts, see NameContacts
}

// Contact is one value of a REGISTER's Contact header.
type Contact struct {
	URI      string // exactly as between < and >: a call to the phone must carry it unchanged
	Instance string // +sip.instance without quotes and brackets, or empty
	RegID    int    // reg-id, or 0
	Q        int    // q value in thousandths, 1000 when absent
	Expires  int    // the expires parameter in seconds; -1 when absent

	key string // ContactKey of it, once that is known
}

// Reset empties the request; its lists keep their memory.
func (r *Request) Reset() {
	*r = Request{Contacts: r.Contacts[:0], Path: r.Path[:0], Pushers: r.Pushers[:0], Authorize: r.Authorize[:0], keys: r.keys}
}

// Own returns a copy with texts of its own, all in one piece of memory.
func (r *Request) Own() *Request {
	own := *r
	own.keys = nil
	own.Contacts, own.Path = slices.Clone(r.Contacts), slices.Clone(r.Path)
	own.Pushers, own.Authorize = slices.Clone(r.Pushers), slices.Clone(r.Authorize)
	size := 0
	own.texts(func(text *string) { size += len(*text) })
	room := make([]byte, 0, size)
	var last string // the domains are mostly the same, and the users
	own.texts(func(text *string) {
		if *text != last {
			room = append(room, *text...)
			last = borrowed(room[len(room)-len(*text):])
		}
		*text = last
	})
	return &own
}

// texts visits every text of the request.
func (r *Request) texts(visit func(*string)) {
	for _, text := range [...]*string{&r.Domain, &r.To.Domain, &r.From.Domain, &r.To.User, &r.From.User, &r.CallID, &r.UserAgent} {
		visit(text)
	}
	for i := range r.Contacts {
		c := &r.Contacts[i]
		visit(&c.URI)
		visit(&c.Instance)
		visit(&c.key)
	}
	for _, list := range [...][]string{r.Path, r.Pushers, r.Authorize} {
		for i := range list {
			visit(&list[i])
		}
	}
}

// Refused tells whom it concerns that the request was refused, and why.
func (r *Request) Refused(owner account.ID, aor telephony.AoR, code int, text string, now time.Time) telephony.RegistrationChange {
	c := telephony.RegistrationChange{
		Account: owner, At: now, Kind: telephony.RegisterRefused, AoR: aor, UserAgent: clip(r.UserAgent, maxUserAgent),
		Transport: r.Flow.Transport, Remote: r.Flow.RemoteText(), Code: code, Text: text,
	}
	if len(r.Contacts) > 0 {
		c.Instance = clip(r.Contacts[0].Instance, maxInstance)
		c.Contact = PublicContact(clip(r.Contacts[0].URI, maxURI))
	}
	return c
}

// cloned returns copies of texts.
func cloned(texts []string) []string {
	own := slices.Clone(texts)
	for i, text := range own {
		own[i] = strings.Clone(text)
	}
	return own
}

// borrowed returns bytes as a text without a copy.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
