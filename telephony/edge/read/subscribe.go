package read

import (
	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/wire"
)

// Subscribe fills a Request from the scan, or says what is bad as a reason phrase. Every string is printable, and
// none aliases the receive buffer.
func Subscribe(f telephony.Flow, m *wire.Message) (*events.Request, string) {
	req := &events.Request{Flow: f, CSeq: m.CSeq, Expires: m.Expires}
	uri, _ := wire.ParseURI(m.RequestURI)
	req.Target = telephony.NewAoR(wire.CanonicalUser(uri.User), string(uri.Host))
	var ok bool
	if req.User, ok = AoR(m.FromAddr()); !ok {
		return nil, "Bad From"
	}
	if req.From, req.RemoteTag, ok = party(m.From); !ok || req.RemoteTag == "" {
		return nil, "Bad From"
	}
	if req.To, req.ToTag, ok = party(m.To); !ok {
		return nil, "Bad To"
	}
	if !printable(m.CallID) || len(m.CallID) > 255 {
		return nil, "Bad Call-ID"
	}
	req.CallID = string(m.CallID)
	if bad := event(req, m); bad != "" {
		return nil, bad
	}
	for _, line := range m.Values("Accept") {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			req.Accept = append(req.Accept, string(value))
		}
	}
	if bad := route(req, m); bad != "" {
		return nil, bad
	}
	for _, value := range m.Authorization {
		req.Authorize = append(req.Authorize, string(value))
	}
	return req, ""
}

// party splits a From or To into what stands in every message of a dialog, and its tag.
func party(value []byte) (text, tag string, ok bool) {
	n, ok := wire.ParseNameAddr(value)
	t, _ := wire.Param(n.Params, "tag")
	if !ok || !printable(value) || len(value) > maxParty {
		return "", "", false
	}
	text = "<" + string(n.URI) + ">"
	if len(n.Display) > 0 {
		text = string(n.Display) + " " + text
	}
	return text, string(t), true
}

const maxRoute = 2048

// event reads the one Event header (RFC 6665 §8.2.1), by its name or as "o".
func event(req *events.Request, m *wire.Message) (bad string) {
	lines := append(m.Values("Event"), m.Values("o")...)
	if len(lines) != 1 || !printable(lines[0]) || len(lines[0]) > 255 {
		return "Bad Event"
	}
	name, rest := lines[0], []byte(nil)
	for i, c := range lines[0] {
		if c == ';' || c == ' ' || c == '\t' {
			name, rest = lines[0][:i], lines[0][i:]
			break
		}
	}
	id, _ := wire.Param(rest, "id")
	req.Event, req.EventID = string(name), string(id)
	return ""
}

// route reads Contact and Record-Route: where NOTIFYs are addressed to, over the flow.
func route(req *events.Request, m *wire.Message) (bad string) {
	if len(m.Contacts) > 0 {
		value, rest, ok := wire.NextValue(m.Contacts[0])
		n, fine := wire.ParseNameAddr(value)
		if !ok || !fine || len(rest) > 0 || len(m.Contacts) > 1 || !printable(n.URI) || len(n.URI) > maxRoute {
			return "Bad Contact"
		}
		req.Contact = string(n.URI)
	}
	size := 0
	for _, line := range m.Values("Record-Route") {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if _, ok := wire.ParseNameAddr(value); !ok || !printable(value) {
				return "Bad Record-Route"
			}
			if size += len(value); size > maxRoute {
				return "Record-Route Too Long"
			}
			req.Route = append(req.Route, string(value))
		}
	}
	return ""
}
