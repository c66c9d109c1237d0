package callswitch

import (
	"strconv"
	"strings"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// depthHeader counts how often a call has come through a switch like this one, for loops that no Max-Forwards breaks,
// because something between us writes new INVITEs.
const depthHeader = "X-Call-Depth"

// maxDepth bounds both depthHeader and forwardings within one call.
const maxDepth = 10

// What we understand, in every INVITE and 2xx.
const (
	allowed   = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY, PRACK"
	supported = "timer, replaces, join, norefersub"
)

// crossesBy are the headers of an INVITE that go on to who is called: nothing else does.
var crossesBy = [...]string{"Subject", "Priority", "Privacy", "Accept-Language", "User-to-User"}

// What of those goes on at most: bytes of their values in all, and lines. Phones end a connection over which a longer message comes than they
// take, so that a caller could have anybody's ended.
const (
	mostCrossing = 2 << 10
	mostLines    = 16
)

// crossing returns the headers that go on. What is too long stays behind.
func crossing(all []telephony.Header) []telephony.Header {
	var some []telephony.Header
	left := mostCrossing
	for _, h := range all {
		for _, name := range crossesBy {
			if strings.EqualFold(h.Name, name) && len(h.Value) <= left && len(some) < mostLines {
				some = append(some, telephony.Header{Name: name, Value: h.Value})
				left -= len(h.Value)
			}
		}
	}
	return some
}

// outgoing begins a request within the leg's dialog; seq is its CSeq number.
func (t *turn) outgoing(l *Leg, method string, seq uint32) *Send {
	d := &l.Dialog
	room := 5
	switch method {
	case "ACK":
		room = 4
	case "INVITE", "UPDATE":
		room = 10
	}
	headers := make([]telephony.Header, 0, room+len(d.Routes))
	headers = append(headers,
		telephony.Header{Name: "From", Value: l.from()},
		telephony.Header{Name: "To", Value: l.to()},
		telephony.Header{Name: "Call-ID", Value: d.CallID},
		telephony.Header{Name: "CSeq", Value: cseq(seq, method)})
	for _, r := range d.Routes {
		headers = append(headers, telephony.Header{Name: "Route", Value: r})
	}
	o := t.spare.sends.next()
	o.Leg, o.Method, o.URI, o.Headers, o.Ways = l.ID, method, d.Target, headers, l.ways()
	return o
}

// cseq is the value of a CSeq.
func cseq(seq uint32, method string) string {
	switch { // what nearly every call has
	case seq == 1 && method == "INVITE":
		return "1 INVITE"
	case seq == 1 && method == "ACK":
		return "1 ACK"
	case seq == 1 && method == "BYE":
		return "1 BYE"
	case seq == 2 && method == "BYE":
		return "2 BYE"
	}
	return strconv.FormatUint(uint64(seq), 10) + " " + method
}

// request starts a new request of ours within the leg's dialog.
func (t *turn) start(l *Leg, method string) *Send {
	l.Dialog.LocalSeq++
	o := t.outgoing(l, method, l.Dialog.LocalSeq)
	o.Tx = t.tx(l)
	return o
}

// reply answers a request of the leg.
func (t *turn) reply(l *Leg, r signal.Reply) {
	r.ToTag = l.Dialog.LocalTag
	t.do(t.spare.replies.put(Reply{Leg: l.ID, Reply: r}))
}

// reason is the value of a Reason header (RFC 3326) for the leg; empty for an ordinary end.
func (l *Leg) reason(c telephony.Cause) string {
	if c.Code == 200 && c.Text != elsewhere {
		return ""
	}
	value := "SIP;cause=" + strconv.Itoa(c.Code)
	if text := l.told(c); text != "" {
		value += ";text=\"" + quotable(text) + "\""
	}
	return value
}

// told is what a leg's phone may read of a cause. The words of another phone (its Warning names servers, its 302 addresses),
// and those of the system about the way there, stand in history alone.
func (l *Leg) told(c telephony.Cause) string {
	switch {
	case c.Text == elsewhere, c.Who == telephony.Caller && !l.Ours: // or its own
		return c.Text
	case c.Who == telephony.Caller, c.Who == telephony.Callee, c.Who == telephony.Network && c.Code == 503:
		return ""
	}
	return c.Text
}

// elsewhere is what phones know (RFC 3326 §3.1): a call that was answered by another phone is not shown as missed.
const elsewhere = "Call completed elsewhere"

// quotable makes text fit to stand in a quoted string.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == '\\' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// words returns what a phone says about itself as it may be told and kept: without passwords in URIs, and not all of it when it is long.
func words(said string) string {
	said = telephony.WithoutPasswords(said)
	return quotable(said[:min(len(said), 128)])
}

// nameAddr writes a From or To without tag.
func nameAddr(name string, aor telephony.AoR) string {
	if name == "" {
		return "<sip:" + aor.User + "@" + aor.Domain + ">"
	}
	return "\"" + quotable(name) + "\" <sip:" + aor.User + "@" + aor.Domain + ">"
}

// withoutTag returns a From or To as it is repeated within the dialog, without its tag.
func withoutTag(value, tag string) string {
	if plain, ok := strings.CutSuffix(value, ">;tag="+tag); ok && tag != "" { // nearly always
		return value[:len(plain)+1]
	}
	n, ok := wire.ParseNameAddr([]byte(value))
	if !ok {
		return value
	}
	plain := "<" + string(n.URI) + ">"
	if len(n.Display) > 0 {
		plain = string(n.Display) + " " + plain
	}
	return plain
}

// displayName returns the display name of a From, without quotes and escapes, at most 64 bytes.
func displayName(from string) string {
	if strings.HasPrefix(from, "<") {
		return ""
	}
	n, ok := wire.ParseNameAddr([]byte(from))
	if !ok || len(n.Display) == 0 {
		return ""
	}
	name := strings.Trim(string(n.Display), `"`)
	if strings.IndexByte(name, '\\') >= 0 {
		name = strings.ReplaceAll(name, `\`, "")
	}
	return strings.ToValidUTF8(name[:min(len(name), 64)], "")
}

// phoneName is what a phone calls itself, at most 64 bytes.
func phoneName(agent string) string { return strings.ToValidUTF8(agent[:min(len(agent), 64)], "") }

// allowOf reads what a phone says that it understands.
func allowOf(m *signal.Message) Allow {
	return Allow{Update: m.Has("Allow", "UPDATE"), Info: m.Has("Allow", "INFO"), Timer: m.Has("Supported", "timer"),
		Reliable: m.Has("Supported", "100rel")}
}

func isSDP(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/sdp")
}

// unreadable reports whether a body is no session description as it stands, and what is said with the 415 that it gets
// (RFC 3261 §8.2.3).
func unreadable(m *signal.Message) (says telephony.Header, bad bool) {
	encoding := m.Header("Content-Encoding")
	switch {
	case len(m.Body) == 0:
		return telephony.Header{}, false
	case !isSDP(m.ContentType):
		return telephony.Header{Name: "Accept", Value: "application/sdp"}, true
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return telephony.Header{Name: "Accept-Encoding", Value: "identity"}, true
	}
	return telephony.Header{}, false
}

// notSDP says for people what is wrong with such a body.
const notSDP = "The body of the request is no session description that can be read."

// takesSDP reports whether a response to the request may hold a session description: one without Accept may
// (RFC 3261 §20.1).
func takesSDP(r *signal.Request) bool {
	lines := r.Values("Accept")
	for _, line := range lines {
		for kind := range strings.SplitSeq(line, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			kind = strings.ToLower(strings.TrimSpace(kind))
			if isSDP(kind) || kind == "application/*" || kind == "*/*" {
				return true
			}
		}
	}
	return len(lines) == 0
}

// address returns the URI of a From or To, or nothing.
func address(party string) string {
	n, ok := wire.ParseNameAddr([]byte(party))
	if !ok {
		return ""
	}
	return string(n.URI)
}

// number reads the decimal number that a header value begins with.
func number(value string) (int, bool) {
	if value == "" {
		return 0, false
	}
	value, _, _ = strings.Cut(value, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
	return int(n), err == nil
}

// reversed returns the Record-Route values as the route set of who sent the request (RFC 3261 §12.1.2).
func reversed(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	all := make([]string, 0, len(values))
	for i := len(values) - 1; i >= 0; i-- {
		all = append(all, values[i])
	}
	return all
}

// pathOf returns the values of a registered Path as the Route of a first request (RFC 3327 §5.1).
func pathOf(path string) []string {
	var all []string
	rest := []byte(path)
	for {
		value, more, ok := wire.NextValue(rest)
		if !ok {
			return all
		}
		all, rest = append(all, string(value)), more
	}
}
