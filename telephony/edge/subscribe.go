package edge

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/read"
	"demarc/telephony/events"
	"demarc/telephony/registration"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// maxServed is how many server transactions there may be.
const maxServed = 1 << 16

// subscribe hands a SUBSCRIBE over and writes the reply when it comes. Retransmissions are absorbed: a second
// subscription must not come of them.
func (e *Edge) subscribe(ctx context.Context, f *flow, m *wire.Message) {
	if e.watchers == nil {
		e.answer(f, m, 405, "", header{"Allow", e.allow})
		return
	}
	req, bad := read.Subscribe(f.Flow, m)
	if bad != "" {
		e.answer(f, m, 400, bad)
		return
	}
	who := e.standing.Caller(req.User, f.Remote.Addr())
	who.CallID, who.Answers = req.CallID, len(req.Authorize) > 0
	if !e.admitted(f, m, &who) {
		return
	}
	tx, fresh, err := e.servers.Receive(m, f.key, f.Transport.Stream(), func(b []byte) {
		e.tap(f, who.AoR, false, b)
		f.writer.Send(b)
	})
	if err != nil {
		e.later(f, m)
		return
	}
	if !fresh {
		return
	}
	req.LocalTag = sip.Tag(e.tagSeed, m)
	e.inHand.begin()
	f.inHand.begin()
	f.handed = true
	p := &pendingSubscribe{edge: e, flow: f, frame: *e.frame(f, m), tx: tx, size: len(m.Head) + len(m.Body), who: who,
		route: req.Route, came: time.Now()}
	defer func() {
		if r := recover(); r != nil {
			e.panicked("Subscribe", r)
			p.reply(events.Reply{Status: 500, Expires: -1})
		}
	}()
	e.watchers.Subscribe(ctx, req, p.reply)
}

// pendingSubscribe is a SUBSCRIBE that waits for its reply.
type pendingSubscribe struct {
	edge  *Edge
	flow  *flow
	frame []byte
	tx    *sip.ServerTx
	size  int // of the request
	who   guard.Caller
	route []string // Record-Route values
	came  time.Time
	done  atomic.Bool
}

func (p *pendingSubscribe) reply(r events.Reply) {
	if p.done.Swap(true) {
		p.edge.count.twiceOrLate.Add(1)
		return
	}
	if r.Status < 200 || r.Status > 699 { // a fault of the handler
		r = events.Reply{Status: 500, Expires: -1}
	}
	p.edge.learned(p.flow, &p.who, r.Sender, p.edge.cfg.Now())
	p.edge.refusing(r.Sender, p.came, func() {
		defer p.edge.inHand.end()
		defer p.flow.inHand.end()
		p.write(r)
	})
}

func (p *pendingSubscribe) write(r events.Reply) {
	dst := append(sip.AppendStatus(make([]byte, 0, len(p.frame)+256), r.Status, r.Reason), p.frame...)
	for _, c := range r.Challenges {
		dst = sip.AppendHeader(dst, "WWW-Authenticate", c)
	}
	if r.Status/100 == 2 {
		for _, route := range p.route { // the phone's refreshes go the same way (RFC 3261 §12.1.1)
			dst = sip.AppendHeader(dst, "Record-Route", route)
		}
	}
	if r.Expires >= 0 && r.Status/100 == 2 {
		dst = sip.AppendHeader(dst, "Expires", strconv.Itoa(r.Expires))
		dst = sip.AppendHeader(dst, "Contact", "<"+p.edge.ContactURI(p.flow.Flow)+">")
	}
	if r.MinExpires > 0 {
		dst = sip.AppendHeader(dst, "Min-Expires", strconv.Itoa(r.MinExpires))
	}
	if r.RetryAfter > 0 {
		dst = sip.AppendHeader(dst, "Retry-After", strconv.Itoa(r.RetryAfter))
	}
	if r.Accept != "" {
		dst = sip.AppendHeader(dst, "Accept", r.Accept)
	}
	if r.Events {
		dst = sip.AppendHeader(dst, "Allow-Events", events.AllowEvents())
	}
	dst = sip.AppendEnd(dst, nil)
	if r.Sender != registration.Proven && r.Status/100 != 2 {
		defer p.tx.Forget()
	}
	if !p.edge.fits(p.flow, p.size, len(dst)) {
		p.edge.count.rejects.add(Reject{p.flow.Listener, "amplification"}, 1)
		return
	}
	p.tx.Respond(r.Status, dst)
	p.edge.count.messages.add(Message{p.flow.Listener, "SUBSCRIBE", r.Status}, 1)
}
