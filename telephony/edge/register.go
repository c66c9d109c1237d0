package edge

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// registering is what one REGISTER is read and answered with; it is used again for the next.
type registering struct {
	req   registrar.Request
	reply registrar.Reply
}

func (e *Edge) registering() *registering {
	if r, ok := e.registers.Get().(*registering); ok {
		return r
	}
	return new(registering)
}

// register hands a REGISTER over and writes the reply, at once or when it comes.
func (e *Edge) register(ctx context.Context, f *flow, m *wire.Message) {
	r := e.registering()
	defer e.registers.Put(r)
	if bad := readRegister(&r.req, f.Flow, m); bad != "" {
		e.answer(f, m, 400, bad)
		return
	}
	who := e.standing.callerOf(&r.req)
	if !e.admitted(f, m, &who) {
		return
	}
	f.handed = true
	if e.atOnce == nil {
		e.registerLater(f, m, who, func(reply func(registrar.Reply)) { e.handler.Register(ctx, r.req.Own(), reply) })
		return
	}
	if later := e.registerAtOnce(ctx, r); later != nil {
		e.registerLater(f, m, who, later)
		return
	}
	e.replied(f, m, &who, &r.reply)
}

// registerAtOnce asks the handler. A panic there is answered with 500.
func (e *Edge) registerAtOnce(ctx context.Context, r *registering) (later func(func(registrar.Reply))) {
	defer func() {
		if fault := recover(); fault != nil {
			e.panicked("Register", fault)
			later, r.reply = nil, registrar.Reply{Status: 500}
		}
	}()
	return e.atOnce.RegisterAtOnce(ctx, &r.req, &r.reply)
}

// replied answers a REGISTER at once.
func (e *Edge) replied(f *flow, m *wire.Message, who *caller, r *registrar.Reply) {
	out := e.buffers.get()
	defer e.buffers.put(out)
	if e.concluded(f, who, r, f.heard) {
		var tag [16]byte
		b := sip.AppendStatus((*out)[:0], r.Status, r.Reason)
		b = sip.AppendFrame(b, m, f.Remote, sip.AppendTag(tag[:0], e.tagSeed, m))
		*out = appendReply(b, r)
		e.dispatchReply(f, who, len(m.Head)+len(m.Body), *out, r.Status, f.heard)
	}
}

// concluded draws conclusions from a reply, and reports whether it is to be sent.
func (e *Edge) concluded(f *flow, who *caller, r *registrar.Reply, now time.Time) bool {
	if r.Drop {
		e.count.messages.add(Message{f.Listener, "REGISTER", 0}, 1)
		return false
	}
	if r.Status < 200 || r.Status > 699 { // a fault of the handler
		*r = registrar.Reply{Status: 500}
	}
	e.learned(f, who, r.Sender, now)
	f.time(r.FlowTimer)
	return true
}

// dispatchReply sends an answer to a request of a size.
func (e *Edge) dispatchReply(f *flow, who *caller, size int, answer []byte, status int, now time.Time) {
	if e.fits(f, size, len(answer)) {
		e.tapAnswer(f, who.aor, answer, now)
		f.writer.send(answer)
	} else {
		e.count.rejects.add(Reject{f.Listener, "amplification"}, 1)
	}
	e.count.messages.add(Message{f.Listener, "REGISTER", status}, 1)
}

// registerLater lets ask find out the reply, which is written when it comes.
func (e *Edge) registerLater(f *flow, m *wire.Message, who caller, ask func(func(registrar.Reply))) {
	p := e.newPending(f, m, e.standing.own(who))
	defer func() {
		if r := recover(); r != nil {
			e.panicked("Register", r)
			p.reply(registrar.Reply{Status: 500})
		}
	}()
	ask(p.reply)
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
	now := p.edge.cfg.Now()
	if !p.edge.concluded(p.flow, &p.who, &r, now) {
		return
	}
	out := p.edge.buffers.get()
	*out = appendReply(append(sip.AppendStatus((*out)[:0], r.Status, r.Reason), *p.frame...), &r)
	p.edge.dispatchReply(p.flow, &p.who, p.size, *out, r.Status, now)
	p.edge.buffers.put(out)
}

// readRegister fills a Request from the scan, or says what is bad as a reason phrase. Every text is valid and without control
// characters, and most are borrowed from the message.
func readRegister(req *registrar.Request, f registrar.Flow, m *wire.Message) (bad string) {
	req.Reset()
	req.Flow, req.CSeq, req.Expires, req.UserAgent = f, m.CSeq, m.Expires, borrowedText(m.UserAgent, 128)
	req.Outbound, req.PathKnown = wire.HasToken(m.Supported, "outbound"), wire.HasToken(m.Supported, "path")
	req.PathAsked, req.Proxied = wire.HasToken(m.Require, "path"), proxied(m)
	if !readAoRs(req, m) {
		return "Bad To"
	}
	if !printable(m.CallID) || len(m.CallID) > 255 {
		return "Bad Call-ID"
	}
	req.CallID = wire.Borrowed(m.CallID)
	if bad := contacts(req, m.Contacts); bad != "" {
		return bad
	}
	for _, line := range m.Path {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if _, ok := wire.ParseNameAddr(value); !ok || !printable(value) {
				return "Bad Path"
			}
			req.Path = append(req.Path, wire.Borrowed(value))
		}
	}
	for _, value := range m.Authorization {
		req.Authorize = append(req.Authorize, wire.Borrowed(value))
	}
	return ""
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
	c := registrar.Contact{URI: wire.Borrowed(n.URI), Q: 1000, Expires: -1}
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
	return wire.Borrowed(v), true
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

// borrowedText is text that may be borrowed.
func borrowedText(b []byte, limit int) string {
	if printable(b) && len(b) <= limit { // nearly always
		return wire.Borrowed(b)
	}
	return text(b, limit)
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
