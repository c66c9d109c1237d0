package callswitch_test

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/encoding"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

const acme = account.ID("acc_acme")

var (
	alice = telephony.NewAoR("1001", "acme.example")
	bob   = telephony.NewAoR("1002", "acme.example")
	carol = telephony.NewAoR("1003", "acme.example")
)

// far is the far end of one leg: what its phone would know.
type far struct {
	leg      int
	aor      telephony.AoR
	flow     telephony.Flow
	callID   string
	tag      string // the phone's
	ours     string // the switch's
	seq      uint32
	side     sdp.Side
	answered bool // a 2xx has passed between both
}

// client is a request of the switch that owes its final response.
type client struct {
	leg       int
	out       signal.Outgoing
	cancelled bool
}

// server is a request to the switch.
type server struct {
	leg       int
	method    string
	final     int
	ackDue    bool
	prackDue  bool
	held      bool // a 2xx that waits for the PRACK
	offerLess bool
	body      []byte
}

// world carries out what steps say, as exchange and edge do, and watches that they are allowed.
type world struct {
	fault   func(format string, args ...any)
	spare   *callswitch.Spare
	call    *callswitch.Call
	now     time.Time
	fars    map[int]*far
	clients map[signal.TxID]*client
	servers map[signal.TxID]*server
	acks    map[signal.TxID]int // 2xx that were given, by the INVITE and tag; ACKs take from it
	media   map[telephony.MediaID]bool
	lastTx  uint64
	records int
	ends    int
	causes  map[int]telephony.Cause
	route   func(callswitch.Question) callswitch.Routed
	adopt   func(callswitch.Release) callswitch.Adopted
	seek    func(callswitch.Seek) callswitch.Fact
	log     []string
	facts   []callswitch.Fact
	byes    int
	told    []callswitch.Reply
	reasons map[signal.TxID]string // of CANCELs, by their INVITEs

	prepares []callswitch.Prepare
	notes    []callswitch.Note

	slow     bool                 // the other call answers later
	released []callswitch.Release // and not answered

	requires string // of the first INVITE
	change   func(*signal.Request)
	policy   sdp.Policy
	plain    bool // the first offer is RTP/AVP
}

func newWorld(fault func(string, ...any)) *world {
	w := &world{fault: fault, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), fars: map[int]*far{}, clients: map[signal.TxID]*client{},
		servers: map[signal.TxID]*server{}, acks: map[signal.TxID]int{}, media: map[telephony.MediaID]bool{}, causes: map[int]telephony.Cause{},
		reasons: map[signal.TxID]string{}}
	w.borrow(new(callswitch.Spare))
	w.route = func(q callswitch.Question) callswitch.Routed {
		return callswitch.Routed{Callee: bob, Targets: targets(1)}
	}
	w.adopt = func(r callswitch.Release) callswitch.Adopted { return callswitch.Adopted{Leg: r.Leg} }
	w.seek = func(s callswitch.Seek) callswitch.Fact {
		return callswitch.Merge{Leg: s.Leg, Into: callswitch.Into{Call: "other", Leg: 1, Place: true}}
	}
	return w
}

// borrow has the world's call begin in memory that others may have used.
func (w *world) borrow(s *callswitch.Spare) {
	const id = "0123456789abcdef01234567"
	w.spare, w.call = s, s.Call(acme, id, "n1", 9)
	if encoding.Encode(w.call) != encoding.Encode(callswitch.New(acme, id, "n1", 9)) {
		w.fault("a call in used memory is not as a new one: %+v", w.call)
	}
}

// giveBack holds that nothing of a call is left in the memory that it borrowed.
func (w *world) giveBack() {
	legs := len(w.call.Legs)
	w.call.Return()
	left, calls, held := callswitch.Left(w.spare)
	if len(left) > 0 || calls == 0 || held < legs {
		w.fault("%d calls and %d legs came back of a call with %d; left in them: %+v", calls, held, legs, left)
	}
}

func targets(n int) []signal.Target {
	var all []signal.Target
	for i := range n {
		flow := telephony.Flow{ID: uint64(500 + i), Listener: "tls", Transport: telephony.TLS, Remote: netip.MustParseAddrPort("192.0.2.7:5061")}
		all = append(all, signal.Target{URI: fmt.Sprintf("sip:b%d@192.0.2.7", i), Q: 1000,
			Ways: []signal.Way{{Node: "n1", Flow: flow, AoR: bob, Instance: fmt.Sprint("urn:", i), Contact: fmt.Sprintf("sip:b%d@192.0.2.7", i)}}})
	}
	return all
}

func local(addr string, port uint16) sdp.Local {
	print := sdp.Fingerprint{Hash: "sha-256", Value: strings.Repeat("AB:", 31) + "AB"}
	name := strings.ReplaceAll(addr, ".", "x")
	return sdp.Local{Addr: netip.MustParseAddr(addr), Fingerprint: print, Seed: "a seed", Audio: sdp.Line{RTP: port, RTCP: port + 1,
		Ufrag: name, Pwd: account.Secret("passwordOfThePhoneAt" + name),
		Keys: []sdp.Key{{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: account.Secret(strings.Repeat("A", 40))}}}}
}

// step lets one thing happen, with all that is answered at once.
func (w *world) step(e callswitch.Event) {
	queue := []callswitch.Event{e}
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		e.At, e.Chance = w.now, uint32(len(w.log))
		ended := w.call.State == states.Ended
		w.log = append(w.log, fmt.Sprintf("%v: %T%T leg %d", w.call.State, e.Signal, e.Fact, e.Leg))
		commands := w.safely(e)
		if ended && len(commands) > 0 {
			w.fault("commands after the end: %T", commands[0])
		}
		w.facts = w.facts[:0]
		for _, c := range commands {
			w.execute(c)
		}
		w.spare.Clear()
		w.watch()
		for _, f := range w.facts {
			queue = append(queue, callswitch.Event{Fact: f})
		}
	}
}

func (w *world) safely(e callswitch.Event) []callswitch.Command {
	defer func() {
		if what := recover(); what != nil {
			w.fault("panic: %v\n%s", what, debug.Stack())
		}
	}()
	return callswitch.Step(w.call, e, nil)
}

func (w *world) fact(f callswitch.Fact) { w.step(callswitch.Event{Fact: f}) }

// watch holds that a leg ends once, with a cause.
func (w *world) watch() {
	for _, l := range w.call.Legs {
		before, ended := w.causes[l.ID]
		switch {
		case l.Since.Ended.IsZero() && ended:
			w.fault("leg %d is open again", l.ID)
		case !l.Since.Ended.IsZero() && l.Cause.Code == 0:
			w.fault("leg %d ended without a cause", l.ID)
		case ended && before != l.Cause:
			w.fault("leg %d ended twice: %v, then %v", l.ID, before, l.Cause)
		case !l.Since.Ended.IsZero():
			w.causes[l.ID] = l.Cause
		}
	}
}

func (w *world) execute(c callswitch.Command) {
	w.log = append(w.log, fmt.Sprintf("    %T", c))
	switch c := c.(type) {
	case *callswitch.Prepare:
		w.prepare(c)
	case *callswitch.Route:
		routed := w.route(c.Question)
		w.facts = append(w.facts, &routed)
	case *callswitch.Send:
		w.sent(c)
	case *callswitch.Reply:
		w.replied(c)
	case callswitch.Cancel:
		if k := w.clients[c.Tx]; k == nil || k.out.Method != "INVITE" || k.cancelled {
			w.fault("CANCEL for nothing")
		} else {
			k.cancelled, w.reasons[c.Tx] = true, c.Reason
		}
	case *callswitch.Agree:
		w.open(c.Media)
	case callswitch.Relay:
		w.open(c.A)
		w.open(c.B)
	case callswitch.Mix:
		for _, id := range c.Media {
			w.open(id)
		}
	case callswitch.Play:
		w.open(c.Media)
	case callswitch.Hush:
		w.open(c.Media)
	case *callswitch.Close:
		w.open(c.Media)
		delete(w.media, c.Media)
		w.facts = append(w.facts, &callswitch.Reported{Leg: c.Leg})
	case callswitch.Record:
		if w.ends > 0 {
			w.fault("history is written after its end")
		}
		w.records++
		if c.End {
			w.ends++
		}
	case callswitch.Release:
		w.released = append(w.released, c)
		if !w.slow {
			w.facts = append(w.facts, w.answerRelease())
		}
	case callswitch.Note:
		w.notes = append(w.notes, c)
	case callswitch.Seek:
		w.facts = append(w.facts, w.seek(c))
	}
}

// answerRelease is what the other call says of the first leg that was released.
func (w *world) answerRelease() callswitch.Adopted {
	c := w.released[0]
	w.released = w.released[1:]
	a := w.adopt(c)
	if a.Refused == nil {
		delete(w.media, w.call.Leg(c.Leg).Session.Media) // it goes on elsewhere
	}
	return a
}

// moving reports whether a leg is being handed over: the exchange keeps its messages until that is done.
func (w *world) moving(leg int) bool {
	return slices.ContainsFunc(w.released, func(r callswitch.Release) bool { return r.Leg == leg })
}

func (w *world) open(id telephony.MediaID) {
	if !w.media[id] {
		w.fault("media %d is used and not open", id)
	}
}

func (w *world) prepare(c *callswitch.Prepare) {
	id := telephony.MediaID(c.Leg)
	f := w.fars[c.Leg]
	if f == nil {
		f = &far{leg: c.Leg, aor: c.Way.AoR, flow: c.Way.Flow, tag: fmt.Sprint("their", c.Leg), callID: fmt.Sprint("call", c.Leg),
			side: sdp.Side{Local: local("192.0.2.9", 4000+2*uint16(c.Leg)), Session: 3}}
		w.fars[c.Leg] = f
	}
	f.ours = fmt.Sprint("our", c.Leg)
	w.prepares = append(w.prepares, *c)
	p := &callswitch.Prepared{Leg: c.Leg, CallID: f.callID, Tag: f.ours, Contact: "sip:token@sip.example", Session: 5, Policy: w.policy}
	if c.Media {
		w.media[id], p.Media, p.Local = true, id, local("198.51.100.1", 20000+2*uint16(c.Leg))
	}
	w.facts = append(w.facts, p)
}

func (w *world) sent(c *callswitch.Send) {
	f := w.fars[c.Leg]
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		if n := count(c.Headers, name); n != 1 {
			w.fault("%s has %d %s", c.Method, n, name)
		}
	}
	switch c.Method {
	case "ACK":
		if w.acks[c.Tx]--; w.acks[c.Tx] < 0 {
			w.fault("ACK for nothing")
		}
		return
	case "BYE":
		w.byes++
		if l := w.call.Leg(c.Leg); f == nil || l == nil {
			w.fault("BYE to nobody")
		}
	case "INVITE":
		for _, k := range w.clients {
			if k.leg == c.Leg && k.out.Method == "INVITE" {
				w.fault("a second INVITE while one is under way on leg %d", c.Leg)
			}
		}
	}
	if w.clients[c.Tx] != nil {
		w.fault("a transaction is used twice")
	}
	w.clients[c.Tx] = &client{leg: c.Leg, out: c.Outgoing}
}

func (w *world) replied(c *callswitch.Reply) {
	s := w.servers[c.Tx]
	w.told = append(w.told, *c)
	switch {
	case s == nil:
		w.fault("a reply to nothing")
	case s.final != 0:
		w.fault("%s got %d after %d", s.method, c.Status, s.final)
	case c.Status < 200:
		s.prackDue = s.prackDue || c.Reliable
		if c.Reliable && len(c.Body) > 0 {
			s.body = c.Body
		}
	default:
		s.final = c.Status
		if s.method == "INVITE" && c.Status < 300 {
			s.held = s.prackDue
			s.ackDue = !s.held
			w.fars[s.leg].answered = true
			if len(c.Body) > 0 {
				s.body = c.Body
			} else {
				s.offerLess = false // it is agreed already
			}
		}
	}
}

func count(all []telephony.Header, name string) (n int) {
	for _, h := range all {
		if h.Name == name {
			n++
		}
	}
	return n
}

// tx is a new server transaction.
func (w *world) tx(leg int, method string) signal.TxID {
	w.lastTx++
	w.servers[signal.TxID(w.lastTx)] = &server{leg: leg, method: method}
	return signal.TxID(w.lastTx)
}

// invite begins the call.
func (w *world) invite(offer bool) signal.TxID {
	f := &far{leg: 1, aor: alice, tag: "their1", callID: "call1", flow: telephony.Flow{ID: 77, Listener: "tls", Transport: telephony.TLS,
		Remote: netip.MustParseAddrPort("192.0.2.1:5061")}, side: sdp.Side{Local: local("192.0.2.9", 4000), Session: 3}}
	w.fars[1] = f
	tx := w.tx(1, "INVITE")
	r := w.request(f, tx, "INVITE")
	r.URI, r.ToTag, r.Account = "sip:1002@acme.example", "", acme
	if offer {
		r.ContentType, r.Body = "application/sdp", f.offer(sdp.SendRecv)
	} else {
		w.servers[tx].offerLess = true
	}
	if w.plain {
		r.Body, _, _ = f.side.Offer(sdp.Offering{Security: sdp.Plain, Direction: sdp.SendRecv, Codecs: sdp.Passed()})
	}
	if w.requires != "" {
		r.Headers = append(r.Headers, telephony.Header{Name: "Require", Value: w.requires})
	}
	if w.change != nil {
		w.change(r)
	}
	w.step(callswitch.Event{Signal: r})
	return tx
}

func (f *far) offer(d sdp.Direction) []byte {
	body, _, err := f.side.Offer(sdp.Offering{Security: sdp.SDES, Direction: d, Codecs: sdp.Passed()})
	if err != nil {
		panic(err)
	}
	return body
}

func (w *world) request(f *far, tx signal.TxID, method string) *signal.Request {
	f.seq++
	return &signal.Request{Tx: tx, Method: method, URI: "sip:token@sip.example", Hops: 70, Way: signal.Way{Node: "n1", Flow: f.flow, AoR: f.aor},
		User: f.aor, Account: acme, Secure: true, Message: signal.Message{CallID: f.callID, From: "<sip:" + f.aor.String() + ">;tag=" + f.tag,
			To: "<sip:x@acme.example>", FromTag: f.tag, ToTag: f.ours, CSeq: f.seq, Contact: "sip:phone@192.0.2.9"}}
}

// inDialog sends a request within a leg's dialog.
func (w *world) inDialog(f *far, method string, change func(*signal.Request)) {
	tx := w.tx(f.leg, method)
	r := w.request(f, tx, method)
	if change != nil {
		change(r)
	}
	w.servers[tx].offerLess = method == "INVITE" && len(r.Body) == 0
	w.step(callswitch.Event{Signal: r, Leg: f.leg})
}

// respond gives a response to a request of the switch.
func (w *world) respond(tx signal.TxID, status int, change func(*signal.Response)) {
	k := w.clients[tx]
	f := w.fars[k.leg]
	r := &signal.Response{Tx: tx, Method: k.out.Method, Status: status, Way: k.out.Ways[0],
		Message: signal.Message{CallID: f.callID, ToTag: f.tag, Contact: "sip:phone@192.0.2.9", CSeq: 1}}
	if k.out.Method == "INVITE" && status < 300 && status > 100 {
		f.seq = max(f.seq, 1)
	}
	if status >= 200 && status < 300 && k.out.Method == "INVITE" {
		r.ContentType, r.Body = "application/sdp", f.answerTo(k.out.Body)
		f.answered = true
	}
	if change != nil {
		change(r)
	}
	if status >= 200 {
		delete(w.clients, tx)
		if status < 300 && k.out.Method == "INVITE" {
			w.acks[tx]++
		}
	}
	w.step(callswitch.Event{Signal: r, Leg: k.leg})
}

func (f *far) answerTo(offer []byte) []byte {
	d, err := sdp.Parse(offer)
	if err != nil {
		panic(err)
	}
	body, agreed, err := f.side.Answer(sdp.Terms{Secure: true}, d, sdp.Wanted{Direction: sdp.SendRecv})
	if err != nil {
		panic(err)
	}
	f.side.Last, f.side.Theirs, f.side.Agreed = body, d, agreed
	return body
}

// ack gives the ACK to a 2xx, or says that none comes.
func (w *world) ack(tx signal.TxID, missing bool) {
	s := w.servers[tx]
	s.ackDue = false
	if missing {
		w.step(callswitch.Event{Signal: &signal.AckMissing{Tx: tx}})
		return
	}
	a := &signal.Ack{Tx: tx}
	if s.offerLess && len(s.body) > 0 {
		a.ContentType, a.Body = "application/sdp", w.fars[s.leg].answerTo(s.body)
	}
	w.step(callswitch.Event{Signal: a})
}

// prack confirms a reliable provisional response, perhaps with a description, or says that no PRACK comes.
func (w *world) prack(tx signal.TxID, missing bool, body []byte) {
	s := w.servers[tx]
	s.prackDue = false
	if missing {
		if s.held { // the edge throws it away
			s.final, s.held, w.fars[s.leg].answered = 0, false, false
		}
		w.step(callswitch.Event{Signal: &signal.Pracked{Tx: tx, RSeq: 1, Missing: true}})
		return
	}
	s.ackDue, s.held = s.held, false
	w.step(callswitch.Event{Signal: &signal.Pracked{Tx: tx, RSeq: 1}})
	if len(body) > 0 && w.call.State != states.Ended {
		w.inDialog(w.fars[s.leg], "PRACK", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", body })
	}
}

// pending returns the keys of a map in order, so that runs can be repeated.
func pending[V any](m map[signal.TxID]V, wanted func(V) bool) []signal.TxID {
	var all []signal.TxID
	for tx, v := range m {
		if wanted(v) {
			all = append(all, tx)
		}
	}
	slices.Sort(all)
	return all
}
