package edge

import (
	"context"
	"sync/atomic"
	"time"

	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/read"
	"demarc/telephony/registration"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// registering is what one REGISTER is read and answered with; it is used again for the next.
type registering struct {
	req   registration.Request
	reply registration.Reply
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
	bad := read.Register(&r.req, f.Flow, m)
	if r.req.Came = f.heard; bad != "" {
		e.seen(f)
		e.answer(f, m, 400, bad)
		return
	}
	who := e.callerOf(&r.req)
	if !e.admitted(f, m, &who) {
		return
	}
	f.handed = true
	if e.atOnce == nil {
		e.registerLater(f, m, who, func(reply func(registration.Reply)) { e.handler.Register(ctx, r.req.Own(), reply) })
		return
	}
	if later := e.registerAtOnce(ctx, r); later != nil {
		e.registerLater(f, m, who, later)
		return
	}
	e.replied(f, m, &who, &r.reply)
}

// registerAtOnce asks the handler. A panic there is answered with 500.
func (e *Edge) registerAtOnce(ctx context.Context, r *registering) (later func(func(registration.Reply))) {
	defer func() {
		if fault := recover(); fault != nil {
			e.panicked("Register", fault)
			later, r.reply = nil, registration.Reply{Status: 500}
		}
	}()
	return e.atOnce.RegisterAtOnce(ctx, &r.req, &r.reply)
}

// replied answers a REGISTER at once.
func (e *Edge) replied(f *flow, m *wire.Message, who *guard.Caller, r *registration.Reply) {
	out := e.buffers.Get()
	defer e.buffers.Put(out)
	if e.concluded(f, who, r, f.heard) {
		var tag [16]byte
		b := sip.AppendStatus((*out)[:0], r.Status, r.Reason)
		b = sip.AppendFrame(b, m, f.Remote, sip.AppendTag(tag[:0], e.tagSeed, m))
		*out = appendReply(b, r)
		e.dispatchReply(f, len(m.Head)+len(m.Body), *out, r.Status, func() {
			if r.AsksForPush() { // some other phone, perhaps: its token is no secret of this message
				e.seen(f)
				e.tapAnswer(f, who.AoR, *out, f.heard)
			} else {
				e.seenWith(f, who.AoR, *out)
			}
		})
	}
}

// concluded draws conclusions from a reply, and reports whether it is to be sent.
func (e *Edge) concluded(f *flow, who *guard.Caller, r *registration.Reply, now time.Time) bool {
	if r.Drop {
		e.count.messages.add(Message{f.Listener, "REGISTER", 0}, 1)
		return false
	}
	if r.Status < 200 || r.Status > 699 { // a fault of the handler
		*r = registration.Reply{Status: 500}
	}
	e.learned(f, who, r.Sender, now)
	f.time(r.FlowTimer)
	return true
}

// dispatchReply sends an answer to a request of a size, and shows it before.
func (e *Edge) dispatchReply(f *flow, size int, answer []byte, status int, show func()) {
	if e.fits(f, size, len(answer)) {
		show()
		f.writer.Send(answer)
	} else {
		e.count.rejects.add(Reject{f.Listener, "amplification"}, 1)
	}
	e.count.messages.add(Message{f.Listener, "REGISTER", status}, 1)
}

// registerLater lets ask find out the reply, which is written when it comes.
func (e *Edge) registerLater(f *flow, m *wire.Message, who guard.Caller, ask func(func(registration.Reply))) {
	e.seen(f)
	p := e.newPending(f, m, e.standing.Own(who))
	defer func() {
		if r := recover(); r != nil {
			e.panicked("Register", r)
			p.reply(registration.Reply{Status: 500})
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
	who   guard.Caller
	came  time.Time
	done  atomic.Bool
}

func (e *Edge) newPending(f *flow, m *wire.Message, who guard.Caller) *pending {
	e.inHand.begin()
	f.inHand.begin()
	return &pending{edge: e, flow: f, frame: e.frame(f, m), size: len(m.Head) + len(m.Body), who: who,
		came: time.Now()}
}

// reply sends the answer, the first time it is called.
func (p *pending) reply(r registration.Reply) {
	if p.done.Swap(true) {
		p.edge.count.twiceOrLate.Add(1)
		return
	}
	send := p.edge.concluded(p.flow, &p.who, &r, p.edge.cfg.Now())
	p.edge.refusing(r.Sender, p.came, func() {
		defer p.edge.inHand.end()
		defer p.flow.inHand.end()
		defer p.edge.buffers.Put(p.frame)
		if send {
			p.write(&r)
		}
	})
}

func (p *pending) write(r *registration.Reply) {
	out := p.edge.buffers.Get()
	*out = appendReply(append(sip.AppendStatus((*out)[:0], r.Status, r.Reason), *p.frame...), r)
	p.edge.dispatchReply(p.flow, p.size, *out, r.Status, func() { p.edge.tapAnswer(p.flow, p.who.AoR, *out, p.edge.cfg.Now()) })
	p.edge.buffers.Put(out)
}
