package edge

import (
	"context"
	"strconv"
	"sync"

	"demarc/internal/wheel"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge/opening"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/sip/transaction"
)

// Calls is what a Handler may be too: then calls are served.
type Calls interface {
	// Take takes what happens in calls, and never blocks. False says
	// that there is no room for a new Request, which gets 503; all other events must be taken, for they end what there is.
	Take(signal.Event) bool
	// Authenticate and AuthenticateAtOnce tell who sent a request; the second one from memory, if it is sure.
	Authenticate(ctx context.Context, c authentication.Credentials) authentication.Verdict
	AuthenticateAtOnce(c authentication.Credentials) (v authentication.Verdict, sure bool)
	// Bindings returns where the phones of an AoR are; Standing the one that is reached over a flow, if there is one.
	Bindings(aor telephony.AoR) []registration.Binding
	Standing(aor telephony.AoR, over telephony.Flow) (registration.Binding, bool)
}

// Flows is what Calls may be too: then it hears of phones behind a proxy whose own flow has ended, as the proxy says by 430.
type Flows interface {
	FlowFailed(b registration.Binding)
}

// Signalling is how calls are signalled: what telephony/signal says that the edge does. Its methods never block, and may be
// called once the edge listens.
type Signalling struct {
	edge   *Edge
	serves chan struct{} // closed once there is who takes calls
	calls  Calls
	wheel  *wheel.Wheel
	uas    *transaction.UAS
	uac    *transaction.UAC
	asking *asking
	opens  *opening.Openers
	relay  *relay
	nodes  Nodes // nil: there is no other node
	flows  Flows // nil: nobody wants to know

	linking sync.Mutex
	links   map[string]*link // by node
	early   []signal.Event   // from before there is who takes calls

	sentBy map[string]string // by listener
	trusts map[string]bool   // by listener
}

// How many transactions there may be in either direction. Most of them are but echoes, of 70 to 700 bytes; the others
// take about 2 kB.
const maxTransactions = 1 << 17

func newSignalling(e *Edge) *Signalling {
	s := &Signalling{edge: e, wheel: wheel.New(e.cfg.Timers.WithDefaults().T1), links: make(map[string]*link), serves: make(chan struct{})}
	s.relay = newRelay(s)
	s.wheel.Fault = func(value any) { e.panicked("timer", value) }
	s.uas = transaction.NewUAS(transaction.UASConfig{Timers: e.cfg.Timers, Wheel: s.wheel, Limit: maxTransactions, Missing: s.missing})
	s.uac = transaction.NewUAC(transaction.UACConfig{
		Timers: e.cfg.Timers, Wheel: s.wheel, Limit: maxTransactions, Ways: ways{s}, Failed: s.failed,
	})
	s.asking = newAsking(s)
	s.opens = opening.New(opening.Config{
		Closed: s.closed, Open: s.open, Send: s.launch, Cancel: s.uac.Cancel, Failed: s.failed,
		Unreached: func(listener string) { e.count.rejects.add(Reject{listener, "proxy_unreached"}, 1) },
		Fault:     func(value any) { e.panicked("opener", value) },
	})
	return s
}

// Signalling returns the sending side of calls.
func (e *Edge) Signalling() *Signalling { return e.signalling }

// listens notes what the listeners are called: from now on requests can be sent over UDP, as those that end the calls of an
// earlier life.
func (s *Signalling) listens() {
	s.sentBy, s.trusts = make(map[string]string), make(map[string]bool)
	for _, l := range s.edge.cfg.Listeners {
		s.sentBy[l.Name], s.trusts[l.Name] = s.edge.sentBy(l.Name), l.TrustsFlows
	}
}

func (s *Signalling) start(c Calls) {
	s.calls = c
	s.nodes, _ = c.(Nodes)
	s.flows, _ = c.(Flows)
	s.asking.start()
	s.opens.Start()
	s.linking.Lock()
	close(s.serves)
	early := s.early
	s.early = nil
	s.linking.Unlock()
	for _, ev := range early {
		s.hand(ev)
	}
}

// postponed keeps an event until there is who takes calls: what was sent before that must end too.
func (s *Signalling) postponed(ev signal.Event) bool {
	if s.served() {
		return false
	}
	s.linking.Lock()
	defer s.linking.Unlock()
	if s.served() {
		return false
	}
	s.early = append(s.early, ev)
	return true
}

// Serves is closed once there is who takes calls: before that no request goes over a connection or to another node.
func (s *Signalling) Serves() <-chan struct{} { return s.serves }

// served reports whether there is who takes calls.
func (s *Signalling) served() bool {
	select {
	case <-s.serves:
		return true
	default:
		return false
	}
}

func (s *Signalling) stop() {
	s.asking.stop()
	s.opens.Stop()
	s.wheel.Close()
	s.uas.Close()
	s.uac.Close()
}

// Hold lets what goes out over UDP wait for Release, or for a few more to go with it: for who is about to send several.
func (s *Signalling) Hold() {
	for _, socket := range s.edge.sockets {
		socket.outgoing.Hold()
	}
}

// Release ends a Hold.
func (s *Signalling) Release() {
	for _, socket := range s.edge.sockets {
		socket.outgoing.Release()
	}
}

// Send sends a request. It always ends with one final Response event; of an ACK nothing is told.
func (s *Signalling) Send(out signal.Outgoing) {
	if out.Method == "ACK" {
		if s.uac.Ack(&out) != nil {
			s.edge.count.rejects.add(Reject{"", "ack"}, 1) // the far end will say BYE
		}
		return
	}
	if !s.opens.Take(&out) {
		s.launch(&out)
	}
}

// launch sends a request over the ways that are open.
func (s *Signalling) launch(out *signal.Outgoing) {
	if err := s.uac.Send(out); err != nil {
		s.failed(transaction.Failure{Tx: out.Tx, Method: out.Method, Status: 503, Reason: err.Error()})
	}
}

// Cancel cancels an INVITE that was sent, with the value of a Reason header (RFC 3326).
func (s *Signalling) Cancel(tx signal.TxID, reason string) {
	if !s.opens.Cancel(tx, reason) {
		s.uac.Cancel(tx, reason)
	}
}

// Reply answers a Request.
func (s *Signalling) Reply(r signal.Reply) {
	if r.Challenge {
		s.challenge(&r)
	}
	if !s.uas.Respond(r) {
		s.edge.count.twiceOrLate.Add(1)
	}
}

// challenge makes a 407 of a reply, for whoever the request says it is from.
func (s *Signalling) challenge(r *signal.Reply) {
	b, _ := s.uas.Peer(r.Tx).(*back)
	if b == nil {
		return
	}
	v, _ := s.calls.AuthenticateAtOnce(authentication.Credentials{Flow: b.flow.Flow, User: b.whose.aor})
	refused := refusal(v.Reply)
	r.Status, r.Headers = refused.Status, append(r.Headers, refused.Headers...)
}

// refusal turns the registrar's words into those for a request that is no REGISTER: 407 stands for 401.
func refusal(r registration.Reply) signal.Reply {
	out := signal.Reply{Status: r.Status, Reason: r.Reason}
	if out.Status == 401 {
		out.Status = 407
	}
	for _, c := range r.Challenges {
		out.Headers = append(out.Headers, telephony.Header{Name: "Proxy-Authenticate", Value: c})
	}
	if r.RetryAfter > 0 {
		out.Headers = append(out.Headers, telephony.Header{Name: "Retry-After", Value: strconv.Itoa(r.RetryAfter)})
	}
	return out
}

// hand gives an event to the exchange. A panic there ends the transaction alone.
func (s *Signalling) hand(ev signal.Event) (taken bool) {
	defer func() {
		if r := recover(); r != nil {
			s.edge.panicked("Take", r)
			if req, ok := ev.(*signal.Request); ok {
				s.Reply(signal.Reply{Tx: req.Tx, Status: 500})
			}
			taken = true
		}
	}()
	if tx := subject(ev); isRelayed(tx) {
		s.relay.take(ev)
		return true
	}
	if s.postponed(ev) || s.calls.Take(ev) {
		return true
	}
	s.edge.count.rejects.add(Reject{"", "call_queue"}, 1)
	return false
}

// subject names the transaction that an event is about.
func subject(ev signal.Event) signal.TxID {
	switch ev := ev.(type) {
	case *signal.Request:
		return ev.Tx
	case *signal.Response:
		return ev.Tx
	case *signal.Cancel:
		return ev.Tx
	case *signal.Ack:
		return ev.Tx
	case *signal.AckMissing:
		return ev.Tx
	case *signal.Pracked:
		return ev.Tx
	}
	return 0
}

// flowGone is called when a stream has ended.
func (s *Signalling) flowGone(f *flow) {
	if f.carried.Load() {
		s.uac.FlowGone(f.ID)
	}
}

// missing tells that an ACK or a PRACK did not come.
func (s *Signalling) missing(tx signal.TxID, rseq uint32) {
	if rseq > 0 {
		s.hand(&signal.Pracked{Tx: tx, RSeq: rseq, Missing: true})
		return
	}
	s.hand(&signal.AckMissing{Tx: tx})
}

// failed tells of a request that no far end answered.
func (s *Signalling) failed(f transaction.Failure) {
	s.edge.count.sent.add(Message{f.Way.Flow.Listener, f.Method, 0}, 1)
	s.hand(&signal.Response{Tx: f.Tx, Method: f.Method, Status: f.Status, Reason: f.Reason, Local: true, Way: f.Way})
}
