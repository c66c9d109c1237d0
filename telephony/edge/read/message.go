package read

import (
	"bytes"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// Message fills a Message from the scan, or says what is bad as a reason phrase. All its text is one copy of what is kept of the
// message, so that nothing aliases the receive buffer and little is allocated; own is the text in it of a part of the start line.
// With "Bad To" only the To is missing, and its tag if that cannot be told either: who has answered is to be told that it is over.
func Message(to *signal.Message, m *wire.Message, start []byte) (own, bad string) {
	switch {
	case !plain(m.From):
		return "", "Bad From"
	case !printable(m.CallID) || len(m.CallID) > 255:
		return "", "Bad Call-ID"
	}
	var room [16]line // more than most messages have
	lines, routes, size := linesOf(m, room[:0])
	contact, ok := contactOf(m)
	t := texts{make([]byte, 0, size+len(m.CallID)+len(m.From)+len(m.To)+len(contact)+len(m.ContentType)+len(start)+len(m.Body))}
	to.CallID, to.From, to.CSeq = t.of(m.CallID), t.of(m.From), m.CSeq
	from, _ := m.FromAddr()
	to.FromTag = tagIn(to.From, m.From, from)
	addr, readable := m.ToAddr()
	if readable = readable && plain(m.To); readable {
		to.To = t.of(m.To)
		to.ToTag = tagIn(to.To, m.To, addr)
	} else {
		to.To, to.ToTag = "", lastTag(m.To)
	}
	to.ContentType, own = t.of(m.ContentType), t.of(start)
	to.Body = t.body(m.Body)
	switch {
	case !ok:
		return own, "Bad Contact"
	case !validRoutes(routes):
		return own, "Bad Record-Route"
	}
	to.Contact, to.RecordRoute, to.Headers = t.of(contact), t.routes(routes), t.headers(lines)
	if !readable {
		return own, "Bad To"
	}
	return own, ""
}

// contactOf returns the URI of the first Contact, if there is one.
func contactOf(m *wire.Message) (uri []byte, ok bool) {
	if len(m.Contacts) == 0 {
		return nil, true
	}
	value, _, _ := wire.NextValue(m.Contacts[0])
	n, ok := wire.ParseNameAddr(value)
	return n.URI, string(value) == "*" || ok && printable(n.URI)
}

// line is a header line that is kept.
type line struct {
	name  string // the full one of a header that is known
	other []byte // the name of another one
	value []byte
}

// linesOf appends the header lines that are kept, and returns those of Record-Route apart and how many bytes all have.
func linesOf(m *wire.Message, room []line) (lines []line, routes [][]byte, size int) {
	lines = room
	m.Fields(func(name, value []byte) {
		full, known := fullName(name)
		switch {
		case known && full == "":
			return
		case full == "Record-Route":
			routes = append(routes, value)
		case known:
			lines = append(lines, line{name: full, value: value})
		default:
			lines = append(lines, line{other: name, value: value})
			size += len(name)
		}
		size += len(value)
	})
	return lines, routes, size
}

func validRoutes(lines [][]byte) bool {
	for _, line := range lines {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if _, ok := wire.ParseNameAddr(value); !ok || !printable(value) {
				return false
			}
		}
	}
	return true
}

// texts is the one block that the text of a message is copied into.
type texts struct{ block []byte }

func (t *texts) of(part []byte) string {
	if len(part) == 0 {
		return ""
	}
	begin := len(t.block)
	t.block = append(t.block, part...) // there is room, and nobody writes to it again
	return wire.Borrowed(t.block[begin:])
}

// body returns a copy that cannot grow into what stands behind it.
func (t *texts) body(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	begin := len(t.block)
	t.block = append(t.block, b...)
	return t.block[begin:len(t.block):len(t.block)]
}

func (t *texts) headers(lines []line) []telephony.Header {
	if len(lines) == 0 {
		return nil
	}
	all := make([]telephony.Header, len(lines))
	for i, l := range lines {
		if all[i].Name = l.name; l.name == "" {
			all[i].Name = t.of(l.other)
		}
		all[i].Value = t.of(l.value)
	}
	return all
}

func (t *texts) routes(lines [][]byte) (all []string) {
	for _, line := range lines {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			all = append(all, t.of(value))
		}
	}
	return all
}

// tagIn returns the tag in the text of a From or To. All parts of a buffer reach to its end, so that their capacity says where they
// begin.
func tagIn(text string, whole []byte, parsed wire.NameAddr) string {
	tag, _ := wire.Param(parsed.Params, "tag")
	begin := cap(whole) - cap(tag)
	if begin < 0 || begin+len(tag) > len(text) || text[begin:begin+len(tag)] != string(tag) {
		return string(tag) // of another buffer
	}
	return text[begin : begin+len(tag)]
}

// longestTag is how long a tag out of a To that cannot be read may be, in bytes.
const longestTag = 255

// lastTag returns the last tag that stands in a To, whatever that is otherwise; or nothing.
func lastTag(to []byte) string {
	for {
		semicolon := bytes.LastIndexByte(to, ';')
		if semicolon < 0 {
			return ""
		}
		if name, value, ok := bytes.Cut(to[semicolon+1:], []byte("=")); ok && wire.EqualFold(bytes.TrimSpace(name), "tag") {
			value = bytes.TrimSpace(value)
			if tag := value[:wire.TokenLength(value)]; len(tag) <= longestTag {
				return string(tag)
			}
			return ""
		}
		to = to[:semicolon]
	}
}

// fullName returns the name of a header that is known, or nothing for those that are not kept (RFC 3261 §7.3.3 and later RFCs name the
// short forms).
func fullName(name []byte) (full string, known bool) {
	if len(name) == 1 {
		return shortName(name[0] | 0x20)
	}
	switch string(name) { // as nearly everybody writes them
	case "Via", "From", "To", "Call-ID", "CSeq", "Route", "Content-Type", "Content-Length", "Max-Forwards", "Authorization",
		"Proxy-Authorization":
		return "", true
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
	return unusualName(name)
}

// unusualName is fullName for whatever there is.
func unusualName(name []byte) (full string, known bool) {
	switch len(name) {
	case 2, 3, 4, 5, 7, 10, 12, 13, 14, 19:
		for _, own := range [...]string{"Via", "From", "To", "Call-ID", "CSeq", "Route", "Content-Type", "Content-Length",
			"Max-Forwards", "Authorization", "Proxy-Authorization"} {
			if wire.EqualFold(name, own) {
				return "", true
			}
		}
		if wire.EqualFold(name, "Record-Route") {
			return "Record-Route", true
		}
	}
	return "", false
}

func shortName(c byte) (string, bool) {
	switch c {
	case 'v', 'f', 't', 'i', 'l', 'c':
		return "", true
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
	return "", false
}

// RAck reads "rseq cseq INVITE" (RFC 3262 §7.2).
func RAck(m *wire.Message) (rseq, cseq uint32, ok bool) {
	lines := m.Values("RAck")
	if len(lines) != 1 {
		return 0, 0, false
	}
	fields := bytes.Fields(lines[0])
	if len(fields) != 3 || string(fields[2]) != "INVITE" {
		return 0, 0, false
	}
	rseq, one := wire.Number(fields[0])
	cseq, two := wire.Number(fields[1])
	return rseq, cseq, one && two
}
