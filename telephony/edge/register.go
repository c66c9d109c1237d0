package edge

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/wire"
)

// register hands a REGISTER over and writes the reply when it comes.
func (e *Edge) register(ctx context.Context, f *flow, m *wire.Message) {
	req, bad := readRegister(f.Flow, m)
	if bad != "" {
		e.answer(f, m, 400, bad)
		return
	}
	who := callerOf(req)
	if !e.admitted(f, m, who) {
		return
	}
	f.handed = true
	p := e.newPending(f, m, who)
	defer func() {
		if r := recover(); r != nil {
			e.panicked("Register", r)
			p.reply(registrar.Reply{Status: 500})
		}
	}()
	e.handler.Register(ctx, req, p.reply)
}

// pending is a REGISTER that waits for its reply.
type pending struct {
	edge  *Edge
	flow  *flow
	frame *[]byte // Via to CSeq of the response: the receive buffer is used for other things by then
	size  int     // of the request
	who   caller
	done  atomic.Bool
}

func (e *Edge) newPending(f *flow, m *wire.Message, who caller) *pending {
	e.inHand.begin()
	f.inHand.begin()
	return &pending{edge: e, flow: f, frame: e.frame(f, m), size: len(m.Head) + len(m.Body), who: who}
}

// reply sends the answer, the first time it is called.
func (p *pending) reply(r registrar.Reply) {
	if p.done.Swap(true) {
		p.edge.count.twiceOrLate.Add(1)
		return
	}
	defer p.edge.inHand.end()
	defer p.flow.inHand.end()
	defer p.edge.buffers.put(p.frame)
	if r.Drop {
		p.edge.count.messages.add(Message{p.flow.Listener, "REGISTER", 0}, 1)
		return
	}
	if r.Status < 200 || r.Status > 699 { // a fault of the handler
		r = registrar.Reply{Status: 500}
	}
	p.edge.learned(p.flow, p.who, r.Sender)
	p.flow.time(r.FlowTimer)
	out := p.edge.buffers.get()
	*out = appendReply((*out)[:0], *p.frame, r)
	if p.edge.fits(p.flow, p.size, len(*out)) {
		p.edge.tapAnswer(p.flow, p.who.aor, *out)
		p.flow.writer.send(*out)
	} else {
		p.edge.count.rejects.add(Reject{p.flow.Listener, "amplification"}, 1)
	}
	p.edge.buffers.put(out)
	p.edge.count.messages.add(Message{p.flow.Listener, "REGISTER", r.Status}, 1)
}

// readRegister fills a Request from the scan, or says what is bad as a reason phrase. Every string is valid text
// without control characters, and none aliases the receive buffer.
func readRegister(f registrar.Flow, m *wire.Message) (*registrar.Request, string) {
	// Nearly always there is one of each: they come in one piece of memory.
	var room struct {
		req       registrar.Request
		contact   [1]registrar.Contact
		authorize [1]string
	}
	req := &room.req
	*req = registrar.Request{
		Flow: f, CSeq: m.CSeq, Expires: m.Expires, Contacts: room.contact[:0], Authorize: room.authorize[:0],
		Outbound: wire.HasToken(m.Supported, "outbound"), UserAgent: text(m.UserAgent, 128),
		PathKnown: wire.HasToken(m.Supported, "path"), PathAsked: wire.HasToken(m.Require, "path"), Proxied: proxied(m),
	}
	if !readAoRs(req, m) {
		return nil, "Bad To"
	}
	if !printable(m.CallID) || len(m.CallID) > 255 {
		return nil, "Bad Call-ID"
	}
	req.CallID = string(m.CallID)
	if bad := contacts(req, m.Contacts); bad != "" {
		return nil, bad
	}
	for _, line := range m.Path {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if _, ok := wire.ParseNameAddr(value); !ok || !printable(value) {
				return nil, "Bad Path"
			}
			req.Path = append(req.Path, string(value))
		}
	}
	for _, value := range m.Authorization {
		req.Authorize = append(req.Authorize, string(value))
	}
	return req, ""
}

// proxied reports whether the request has more than one Via value.
func proxied(m *wire.Message) bool {
	_, rest, ok := m.TopVia()
	return len(m.Vias) > 1 || ok && len(rest) > 0
}

// readAoRs reads To, From and the domain of the Request-URI, which mostly say the same: one text serves them all. A From
// of another scheme is nobody we know.
func readAoRs(req *registrar.Request, m *wire.Message) (ok bool) {
	if req.To, ok = m.ToAoR(); !ok {
		return false
	}
	to, _ := m.ToAddr()
	if from, ok := m.FromAddr(); ok && bytes.Equal(from.URI, to.URI) {
		req.From = req.To
	} else {
		req.From, _ = aorOf(from, ok)
	}
	if uri, _ := m.URI(); string(uri.Host) == req.To.Domain {
		req.Domain = req.To.Domain
	} else {
		req.Domain = telephony.NewAoR("", string(uri.Host)).Domain
	}
	return true
}

// aorOf turns a parsed From or To into an address of record.
func aorOf(n wire.NameAddr, ok bool) (telephony.AoR, bool) {
	if !ok {
		return telephony.AoR{}, false
	}
	return n.AoR()
}

func contacts(req *registrar.Request, lines [][]byte) (bad string) {
	for _, line := range lines {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if string(value) == "*" {
				req.Star = true
				continue
			}
			c, ok := contact(value)
			if !ok {
				return "Bad Contact"
			}
			req.Contacts = append(req.Contacts, c)
		}
	}
	if req.Star && len(req.Contacts) > 0 { // RFC 3261 §10.2.2: it stands alone
		return "Bad Contact"
	}
	return ""
}

// contact reads one Contact value. A URI of another scheme is kept as it is (RFC 3261 §10.3).
func contact(value []byte) (registrar.Contact, bool) {
	n, ok := wire.ParseNameAddr(value)
	if !ok {
		return registrar.Contact{}, false
	}
	if s := wire.Scheme(n.URI); wire.EqualFold(s, "sip") || wire.EqualFold(s, "sips") {
		if _, ok := wire.ParseURI(n.URI); !ok {
			return registrar.Contact{}, false
		}
	}
	c := registrar.Contact{URI: string(n.URI), Q: 1000, Expires: -1}
	if v, ok := wire.Param(n.Params, "expires"); ok {
		c.Expires = wire.Seconds(v)
	}
	if v, ok := wire.Param(n.Params, "q"); ok {
		if c.Q, ok = thousandths(v); !ok {
			return registrar.Contact{}, false
		}
	}
	if v, ok := wire.Param(n.Params, "reg-id"); ok {
		id, ok := wire.Number(v)
		if !ok || id == 0 || id > 1<<31-1 {
			return registrar.Contact{}, false
		}
		c.RegID = int(id)
	}
	if v, ok := wire.Param(n.Params, "+sip.instance"); ok {
		if c.Instance, ok = instance(v); !ok {
			return registrar.Contact{}, false
		}
	}
	return c, true
}

// instance takes the brackets off a +sip.instance (RFC 5626 §4.1).
func instance(v []byte) (string, bool) {
	v = bytes.TrimSuffix(bytes.TrimPrefix(v, []byte("<")), []byte(">"))
	if len(v) == 0 || len(v) > 255 || !printable(v) || bytes.ContainsAny(v, " <>\"\\") {
		return "", false
	}
	return string(v), true
}

// thousandths reads a qvalue (RFC 3261 §25.1): 0 to 1 with up to three digits after the point.
func thousandths(v []byte) (int, bool) {
	whole, fraction, _ := bytes.Cut(v, []byte("."))
	w, ok := wire.Number(whole)
	if !ok && len(whole) > 0 || w > 1 || len(fraction) > 3 || len(v) == 0 {
		return 0, false
	}
	q := int(w) * 1000
	for i, c := range fraction {
		if c < '0' || c > '9' {
			return 0, false
		}
		q += int(c-'0') * [...]int{100, 10, 1}[i]
	}
	return q, q <= 1000
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// text makes something that may be stored and shown out of what a phone says about itself.
func text(b []byte, limit int) string {
	if printable(b) && len(b) <= limit {
		return string(b)
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), ""))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
