package edge

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/read"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/sip/transaction"
	"demarc/telephony/wire"
)

// callMethods are the methods of calls, besides ACK.
const callMethods = "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO, REFER, NOTIFY"

// request serves a request of a call: what begins a dialog once its sender is known, and what belongs to one.
func (e *Edge) request(ctx context.Context, f *flow, m *wire.Message, method string) {
	s := e.signalling
	switch _, what := s.match(f, m); what {
	case transaction.Absorbed:
		return
	case transaction.Merged: // RFC 3261 §8.2.2.2
		e.answer(f, m, 482, "")
		return
	}
	inside := hasToTag(m)
	if node, ok := s.relay.home(m); ok && inside && f.node == "" {
		s.relay.request(f, m, method, signal.Way{Node: node, Flow: f.Flow})
		return
	}
	who, ok := e.place(f, m)
	if !ok {
		return
	}
	if !inside && !begins(method) {
		e.answer(f, m, 481, "")
		return
	}
	req, bad := readRequest(f, m, method)
	if bad != "" {
		e.answer(f, m, 400, bad)
		return
	}
	from := s.speakerOf(f, who.AoR)
	who.AoR, who.CallID = from.way.AoR, req.CallID
	s.identify(f, m, req, who, from, inside)
}

// place takes a place for a request of a call, or answers why there is none. The texts of who are borrowed until the message has been
// read.
func (e *Edge) place(f *flow, m *wire.Message) (who guard.Caller, ok bool) {
	user, _ := m.FromAoR()
	who = e.standing.Caller(user, f.Remote.Addr())
	who.CallID, who.Answers = wire.Borrowed(m.CallID), len(m.ProxyAuthorization) > 0
	if !e.admitted(f, m, &who) {
		return who, false
	}
	if int(f.serving.Load()) >= e.cfg.Limits.FlowReplies {
		e.later(f, m)
		return who, false
	}
	return who, true
}

// readRequest reads a request of a call, or says what is bad as a reason phrase.
func readRequest(f *flow, m *wire.Message, method string) (*signal.Request, string) {
	req := &signal.Request{
		Method: method, Hops: m.MaxForwards, Secure: f.Transport.Secure(),
		Browser: f.Transport == telephony.WS || f.Transport == telephony.WSS,
	}
	if req.Hops < 0 {
		req.Hops = 70
	}
	var bad string
	uri, hidden := telephony.HidePasswords(m.RequestURI) // what was dialled stands in history and timelines
	if hidden {
		uri = bytes.ReplaceAll(uri, []byte(":***@"), []byte("@"))
	}
	req.URI, bad = read.Message(&req.Message, m, uri)
	return req, bad
}

// begins reports whether a request of the method may stand outside of a dialog.
func begins(method string) bool { return method == "INVITE" || method == "REFER" }

func hasToTag(m *wire.Message) bool {
	to, _ := m.ToAddr()
	tag, _ := wire.Param(to.Params, "tag")
	return len(tag) > 0
}

// match finds what a request is. A retransmission of one that is done with is answered over the flow that it came over.
func (s *Signalling) match(f *flow, m *wire.Message) (signal.TxID, transaction.Match) {
	return s.uas.Match(m, f.key, func(spent int) transaction.Peer {
		user, _ := m.FromAoR()
		return &back{signalling: s, flow: f, whose: whose{aor: f.own(user)}, budget: budget(m) - spent}
	})
}

// identify finds out who sent a request. Refusals leave no state behind: their ACK is absorbed.
func (s *Signalling) identify(f *flow, m *wire.Message, req *signal.Request, who guard.Caller, from speaker, inside bool) {
	as := authentication.Credentials{Method: req.Method, Flow: f.Flow, User: who.AoR}
	for _, value := range m.ProxyAuthorization {
		as.Authorize = append(as.Authorize, string(value))
	}
	switch {
	case inside && len(as.Authorize) == 0:
		// Whose dialog it is and whether this flow may speak in it is the exchange's to say.
		if from.account != "" {
			req.User, req.Account = who.AoR, from.account
		}
	default:
		if !inside && s.trusts[f.Listener] {
			as.Proof = from.proof
		}
		v, sure := s.calls.AuthenticateAtOnce(as)
		if !sure {
			s.ask(f, m, req, from.way, &question{req: req, as: as, who: who, flow: f, came: time.Now()})
			return
		}
		s.edge.learned(f, &who, v.Reply.Sender, s.edge.cfg.Now())
		if !v.OK {
			r := refusal(v.Reply)
			headers := make([]header, len(r.Headers))
			for i, h := range r.Headers {
				headers[i] = header{h.Name, h.Value}
			}
			s.edge.answer(f, m, r.Status, r.Reason, headers...)
			return
		}
		req.User, req.Account = v.User.AoR, v.User.Account
		if as.Proof == 0 { // else his binding tells it
			f.note(req.User, req.Account)
		}
	}
	if s.begin(f, m, req, from.way) {
		s.request(req)
	}
}

// begin begins the transaction of a request.
func (s *Signalling) begin(f *flow, m *wire.Message, req *signal.Request, way signal.Way) bool {
	req.Way = way
	tx, err := s.uas.Begin(transaction.Incoming{
		Message: m, Method: req.Method, Flow: f.key, Source: f.Remote, Reliable: f.Transport.Stream(),
		Peer: &back{signalling: s, flow: f, whose: whose{way.AoR, way.Instance, way.Contact}, budget: budget(m)},
	})
	if err != nil {
		s.edge.count.rejects.add(Reject{f.Listener, "transactions"}, 1)
		s.edge.later(f, m)
		return false
	}
	f.serving.Add(1)
	req.Tx = tx
	return true
}

// ask lets a worker find out who sent the request.
func (s *Signalling) ask(f *flow, m *wire.Message, req *signal.Request, way signal.Way, q *question) {
	if s.begin(f, m, req, way) && !s.asking.begin(q) {
		s.busy(req.Tx)
	}
}

// request hands a request over.
func (s *Signalling) request(req *signal.Request) {
	if !s.hand(req) {
		s.busy(req.Tx)
	}
}

func (s *Signalling) busy(tx signal.TxID) {
	s.Reply(signal.Reply{Tx: tx, Status: 503, Headers: []telephony.Header{
		{Name: "Retry-After", Value: strconv.Itoa(5 + rand.IntN(10))},
	}})
}

// cancel answers a CANCEL and tells of it (RFC 3261 §9.2).
func (e *Edge) cancel(f *flow, m *wire.Message) {
	s := e.signalling
	tx, tag, pending := s.uas.Canceled(m, f.key)
	if tx == 0 {
		tx, tag, pending = s.uas.CanceledElsewhere(m, s.sameAs(f, m))
	}
	if tx == 0 {
		e.answer(f, m, 481, "")
		return
	}
	if tag == "" {
		tag = sip.Tag(e.tagSeed, m)
	}
	e.answerAs(f, m, 200, "", tag)
	if !pending {
		return
	}
	ev := &signal.Cancel{Tx: tx}
	if lines := m.Values("Reason"); len(lines) > 0 {
		ev.Reason = read.Text(lines[0], 256)
	}
	if !s.asking.wait(tx, ev) {
		s.hand(ev)
	}
}

// sameAs tells whether a transaction is of the very phone that has registered over the flow and sends a message now.
func (s *Signalling) sameAs(f *flow, m *wire.Message) func(transaction.Peer) bool {
	user, _ := m.FromAoR()
	now, bound := s.calls.Standing(user, f.Flow)
	return func(p transaction.Peer) bool {
		b, ok := p.(*back)
		return ok && bound && b.whose.instance != "" && b.whose.aor == now.AoR && telephony.SameInstance(b.whose.instance, now.Instance)
	}
}

// prack answers a PRACK and tells of it (RFC 3262 §3). One with a body, an offer or an answer, is the exchange's to answer.
func (e *Edge) prack(f *flow, m *wire.Message) {
	s := e.signalling
	if _, what := s.match(f, m); what == transaction.Absorbed {
		return
	}
	if node, ok := s.relay.home(m); ok && f.node == "" {
		s.relay.request(f, m, "PRACK", signal.Way{Node: node, Flow: f.Flow})
		return
	}
	who, ok := e.place(f, m)
	if !ok {
		return
	}
	req, bad := readRequest(f, m, "PRACK")
	if bad != "" {
		e.answer(f, m, 400, bad)
		return
	}
	rseq, cseq, ok := read.RAck(m)
	if !ok {
		e.answer(f, m, 400, "Bad RAck")
		return
	}
	ev := &signal.Pracked{RSeq: rseq}
	if ev.Tx, ok = s.uas.Pracked(m, rseq, cseq); !ok {
		e.answer(f, m, 481, "") // without state: anybody may ask
		return
	}
	from := s.speakerOf(f, who.AoR)
	if from.account != "" {
		req.User, req.Account = from.way.AoR, from.account
	}
	if !s.begin(f, m, req, from.way) {
		s.hand(ev) // it has come all the same
		return
	}
	if len(req.Body) > 0 {
		s.hand(ev)
		s.request(req)
		return
	}
	s.Reply(signal.Reply{Tx: req.Tx, Status: 200})
	s.hand(ev)
}

// ack takes an ACK. It never gets an answer.
func (e *Edge) ack(f *flow, m *wire.Message) {
	e.count.messages.add(Message{f.Listener, "ACK", 0}, 1)
	s := e.signalling
	if !s.served() {
		return
	}
	tx, what := s.match(f, m)
	if what != transaction.Acked {
		return
	}
	if isRelayed(tx) {
		s.relay.ack(tx, m)
		return
	}
	ev := &signal.Ack{Tx: tx}
	if len(m.Body) == 0 {
		s.hand(ev) // it says nothing more
		return
	}
	if _, bad := read.Message(&ev.Message, m, nil); bad != "" {
		ev.Message = signal.Message{} // it is an ACK all the same
	}
	s.hand(ev)
}
