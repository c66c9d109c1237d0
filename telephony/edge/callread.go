package edge

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// readMessage fills a Message from the scan, or says what is bad as a reason phrase. All its text is one copy of the head, which
// is returned, so that nothing aliases the receive buffer and little is allocated.
func readMessage(to *signal.Message, m *wire.Message) (c copied, bad string) {
	switch {
	case !plain(m.From):
		return c, "Bad From"
	case !plain(m.To):
		return c, "Bad To"
	case !printable(m.CallID) || len(m.CallID) > 255:
		return c, "Bad Call-ID"
	}
	c = copied{head: m.Head, text: string(m.Head)}
	to.CallID, to.From, to.To, to.CSeq = c.of(m.CallID), c.of(m.From), c.of(m.To), m.CSeq
	from, _ := m.FromAddr()
	tag, _ := wire.Param(from.Params, "tag")
	to.FromTag = c.of(tag)
	addr, _ := m.ToAddr()
	tag, _ = wire.Param(addr.Params, "tag")
	to.ToTag = c.of(tag)
	to.ContentType = c.of(m.ContentType)
	to.Body = bytes.Clone(m.Body)
	if bad := c.contact(to, m); bad != "" {
		return c, bad
	}
	return c, c.headers(to, m)
}

// copied maps slices of a message's head to text of its copy.
type copied struct {
	head []byte
	text string
}

// of returns the text of a part of the head: all parts of one buffer reach to its end, so that their capacity says where they
// begin.
func (c copied) of(part []byte) string {
	begin := cap(c.head) - cap(part)
	if begin < 0 || begin+len(part) > len(c.text) || c.text[begin:begin+len(part)] != string(part) {
		return string(part) // of another buffer
	}
	return c.text[begin : begin+len(part)]
}

// contact reads the URI of the first Contact.
func (c copied) contact(to *signal.Message, m *wire.Message) (bad string) {
	if len(m.Contacts) == 0 {
		return ""
	}
	value, _, _ := wire.NextValue(m.Contacts[0])
	n, ok := wire.ParseNameAddr(value)
	if string(value) != "*" && (!ok || !printable(n.URI)) {
		return "Bad Contact"
	}
	to.Contact = c.of(n.URI)
	return ""
}

// headers keeps the header lines, and reads Record-Route.
func (c copied) headers(to *signal.Message, m *wire.Message) (bad string) {
	var room [24]telephony.Header // more than most messages have
	kept := room[:0]
	m.Fields(func(name, value []byte) {
		full, ok := fullName(c, name)
		switch {
		case !ok:
		case full == "Record-Route":
			if b := c.recordRoute(to, value); b != "" {
				bad = b
			}
		default:
			kept = append(kept, telephony.Header{Name: full, Value: c.of(value)})
		}
	})
	to.Headers = slices.Clone(kept)
	return bad
}

func (c copied) recordRoute(to *signal.Message, line []byte) (bad string) {
	for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
		if _, ok := wire.ParseNameAddr(value); !ok || !printable(value) {
			return "Bad Record-Route"
		}
		to.RecordRoute = append(to.RecordRoute, c.of(value))
	}
	return ""
}

// fullName returns the name of a header that is kept (RFC 3261 §7.3.3 and later RFCs name the short forms).
func fullName(c copied, name []byte) (string, bool) {
	if len(name) == 1 {
		return shortName(name[0] | 0x20)
	}
	switch string(name) { // as nearly everybody writes them
	case "Via", "From", "To", "Call-ID", "CSeq", "Route", "Content-Type", "Content-Length", "Max-Forwards", "Authorization",
		"Proxy-Authorization":
		return "", false
	case "Contact":
		return "Contact", true
	case "Allow":
		return "Allow", true
	case "Supported":
		return "Supported", true
	case "User-Agent":
		return "User-Agent", true
	case "Record-Route":
		return "Record-Route", true
	}
	return unusualName(c, name)
}

// unusualName is fullName for whatever there is.
func unusualName(c copied, name []byte) (string, bool) {
	switch len(name) {
	case 2, 3, 4, 5, 7, 10, 12, 13, 14, 19:
		for _, own := range [...]string{"Via", "From", "To", "Call-ID", "CSeq", "Route", "Content-Type", "Content-Length",
			"Max-Forwards", "Authorization", "Proxy-Authorization"} {
			if wire.EqualFold(name, own) {
				return "", false
			}
		}
		if wire.EqualFold(name, "Record-Route") {
			return "Record-Route", true
		}
	}
	return c.of(name), true
}

func shortName(c byte) (string, bool) {
	switch c {
	case 'v', 'f', 't', 'i', 'l', 'c':
		return "", false
	case 'a':
		return "Accept-Contact", true
	case 'b':
		return "Referred-By", true
	case 'd':
		return "Request-Disposition", true
	case 'e':
		return "Content-Encoding", true
	case 'j':
		return "Reject-Contact", true
	case 'k':
		return "Supported", true
	case 'm':
		return "Contact", true
	case 'n':
		return "Identity-Info", true
	case 'o':
		return "Event", true
	case 'r':
		return "Refer-To", true
	case 's':
		return "Subject", true
	case 'u':
		return "Allow-Events", true
	case 'x':
		return "Session-Expires", true
	case 'y':
		return "Identity", true
	}
	return string(c), true
}

// plain reports whether b is text without control characters.
func plain(b []byte) bool {
	if printable(b) {
		return len(b) <= maxParty
	}
	if len(b) > maxParty || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// splitSpace cuts at white space.
func splitSpace(b []byte) [][]byte { return bytes.Fields(b) }
