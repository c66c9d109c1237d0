package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// stub is an exchange: it does with every event what the test wants, in a goroutine of its own, and notes them all.
type stub struct {
	fake
	edge     atomic.Pointer[running]
	on       func(s *edge.Signalling, ev signal.Event)
	take     func(ev signal.Event) bool // nil: takes everything
	verdict  func(c authentication.Credentials) (v authentication.Verdict, sure bool)
	bindings func(aor telephony.AoR) []registration.Binding

	queue chan signal.Event
	next  atomic.Uint64
	mu    sync.Mutex
	seen  []signal.Event
}

func newStub(on func(s *edge.Signalling, ev signal.Event)) *stub {
	return &stub{on: on, queue: make(chan signal.Event, 1<<16)}
}

// run works through what came, in order, until the test ends.
func (s *stub) run(t *testing.T, r *running) {
	s.edge.Store(r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev := range s.queue {
			s.on(r.Signalling(), ev)
		}
	}()
	t.Cleanup(func() { r.stop(); close(s.queue); <-done })
}

func (s *stub) Take(ev signal.Event) bool {
	if s.take != nil && !s.take(ev) {
		return false
	}
	s.mu.Lock()
	s.seen = append(s.seen, ev)
	s.mu.Unlock()
	s.queue <- ev
	return true
}

func (s *stub) Authenticate(_ context.Context, c authentication.Credentials) authentication.Verdict {
	v, _ := s.AuthenticateAtOnce(c)
	return v
}

func (s *stub) AuthenticateAtOnce(c authentication.Credentials) (authentication.Verdict, bool) {
	if s.verdict != nil {
		return s.verdict(c)
	}
	return authentication.Verdict{
		OK: true, User: authentication.Subscriber{Account: "acme", AoR: c.User}, Reply: registration.Reply{Sender: registration.Proven},
	}, true
}

func (s *stub) Bindings(aor telephony.AoR) []registration.Binding {
	if s.bindings == nil {
		return nil
	}
	return s.bindings(aor)
}

func (s *stub) Standing(aor telephony.AoR, over telephony.Flow) (registration.Binding, bool) {
	for _, b := range s.Bindings(aor) {
		if b.Reachable && b.Flow.Same(over) {
			return b, true
		}
	}
	return registration.Binding{}, false
}

func (s *stub) events() []signal.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]signal.Event(nil), s.seen...)
}

// names lists the kinds of events that came.
func (s *stub) names() string {
	var names []string
	for _, ev := range s.events() {
		switch ev := ev.(type) {
		case *signal.Request:
			names = append(names, ev.Method)
		case *signal.Response:
			names = append(names, fmt.Sprint(ev.Status))
		default:
			names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", ev), "*signal."))
		}
	}
	return strings.Join(names, " ")
}

func (s *stub) tx() signal.TxID { return signal.TxID(1<<63 | s.next.Add(1)) }

// startCalls runs an edge with the stub behind it.
func startCalls(t *testing.T, on func(s *edge.Signalling, ev signal.Event)) (*running, *stub) {
	t.Helper()
	s := newStub(on)
	r := start(t, s, edge.Limits{})
	s.run(t, r)
	return r, s
}

// dialogue is one caller's side of a dialog.
type dialogue struct {
	via, callID, toTag string
	cseq               int
}

// request renders a request of the dialog under a branch.
func (d *dialogue) request(method, branch string, more ...string) string {
	to := "To: <sip:1002@example.com>"
	if d.toTag != "" {
		to += ";tag=" + d.toTag
	}
	s := method + " sip:1002@example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/" + d.via + " 192.0.2.1:5060;branch=z9hG4bK" + branch + ";rport\r\n" +
		"Max-Forwards: 70\r\nFrom: \"Jürgen\" <sip:1001@example.com>;tag=from\r\n" + to + "\r\n" +
		"Call-ID: " + d.callID + "\r\nCSeq: " + fmt.Sprint(d.cseq, " ", method) + "\r\n" +
		"Contact: <sip:1001@192.0.2.1;ob>;x=y\r\n"
	for _, line := range more {
		s += line + "\r\n"
	}
	return s + "Content-Length: 0\r\n\r\n"
}

// party is one end of a call: a connection, and what was read of it and not heard yet.
type party struct {
	t *testing.T
	net.Conn
	framer *wire.Framer
	m      wire.Message
	buf    []byte
}

func (r *running) party(transport string) *party {
	r.t.Helper()
	return newParty(r.t, r.dial(transport))
}

func newParty(t *testing.T, nc net.Conn) *party {
	return &party{t: t, Conn: nc, framer: wire.NewFramer(wire.Limits{}), buf: make([]byte, 64<<10)}
}

func (p *party) say(s string) { _, _ = io.WriteString(p.Conn, s) }

// next returns the next message.
func (p *party) next() string {
	p.t.Helper()
	for {
		event, err := p.framer.Next(&p.m)
		if err != nil {
			p.t.Fatal(err)
		}
		if event == wire.Whole {
			return string(p.m.Head) + string(p.m.Body)
		}
		n, err := p.Read(p.buf)
		if err != nil {
			p.t.Fatalf("nothing more came: %v", err)
		}
		for rest := p.buf[:n]; len(rest) > 0; {
			n := copy(p.framer.Space(), rest)
			p.framer.Fill(n)
			rest = rest[n:]
		}
	}
}

// heard reads until a response with the status comes.
func (p *party) heard(want string) string {
	p.t.Helper()
	for {
		if got := p.next(); status(got) == want {
			return got
		}
	}
}

// answer returns the next message but a 100: whether one comes depends on how fast the answer is.
func (p *party) answer() string {
	p.t.Helper()
	for {
		if got := p.next(); status(got) != "100" {
			return got
		}
	}
}

// answering accepts every INVITE, and everything in the dialog.
func answering(s *edge.Signalling, ev signal.Event) {
	req, ok := ev.(*signal.Request)
	if !ok {
		return
	}
	if req.Method != "INVITE" {
		s.Reply(signal.Reply{Tx: req.Tx, Status: 200})
		return
	}
	s.Reply(signal.Reply{Tx: req.Tx, Status: 180, ToTag: "to"})
	s.Reply(signal.Reply{Tx: req.Tx, Status: 200, ToTag: "to", ContentType: "application/sdp", Body: []byte("v=0\r\n"),
		Headers: []telephony.Header{{Name: "Contact", Value: "<sip:x@demarc>"}}})
}

func TestCallComesIn(t *testing.T) {
	r, s := startCalls(t, answering)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		p := r.party(transport)
		d := &dialogue{via: strings.ToUpper(transport), callID: "in-" + transport, cseq: 1}
		p.say(d.request("INVITE", "1", "k: replaces", "Record-Route: <sip:p1;lr>, <sip:p2;lr>"))
		got := []string{p.answer(), p.answer()}
		if status(got[0]) != "180" || status(got[1]) != "200" {
			t.Fatalf("%s: %s", transport, got)
		}
		for _, want := range []string{"To: <sip:1002@example.com>;tag=to\r\n", "Contact: <sip:x@demarc>\r\n",
			"Content-Type: application/sdp\r\nContent-Length: 5\r\n", "Call-ID: in-" + transport + "\r\n", "CSeq: 1 INVITE\r\n"} {
			if !strings.Contains(got[1], want) {
				t.Errorf("%s: no %q in\n%s", transport, want, got[1])
			}
		}
		d.toTag = "to"
		p.say(d.request("ACK", "2"))
		d.cseq++
		p.say(d.request("BYE", "3"))
		if got := p.heard("200"); !strings.Contains(got, "CSeq: 2 BYE") {
			t.Errorf("%s: %s", transport, got)
		}
	}
	if got := s.names(); got != "INVITE Ack BYE INVITE Ack BYE INVITE Ack BYE" {
		t.Error(got)
	}
	req := s.events()[3].(*signal.Request)
	if req.Account != "acme" || req.User != telephony.NewAoR("1001", "example.com") || req.FromTag != "from" ||
		req.Contact != "sip:1001@192.0.2.1;ob" || req.Header("Supported") != "replaces" || req.URI != "sip:1002@example.com" ||
		fmt.Sprint(req.RecordRoute) != "[<sip:p1;lr> <sip:p2;lr>]" || req.Way.Flow.Transport != telephony.TCP || req.Hops != 70 {
		t.Errorf("%+v", req)
	}
	var headers []string
	for _, h := range req.Headers {
		headers = append(headers, h.Name+": "+h.Value)
	}
	if got := strings.Join(headers, "|"); got != "Contact: <sip:1001@192.0.2.1;ob>;x=y|Supported: replaces" {
		t.Error(got)
	}
	bye := s.events()[5].(*signal.Request)
	if bye.User != req.User || bye.Account != "acme" {
		t.Errorf("BYE of %v, account %q", bye.User, bye.Account)
	}
}

// What was dialled stands in history, and a phone's reason too: a password in a URI does not come that far (RFC 3261 §19.1.1).
func TestPasswordsInURIsStayAtTheEdge(t *testing.T) {
	r, s, book := startKeeping(t)
	p := r.party("tcp")
	p.register("1002", "phone")
	d := &dialogue{via: "TCP", callID: "in", cseq: 1}
	p.say(strings.ReplaceAll(d.request("INVITE", "1"), "sip:1002@", "sip:1002:CANARY@"))
	eventually(t, "the INVITE is told", func() bool { return s.names() == "INVITE" })
	if req := s.events()[0].(*signal.Request); req.URI != "sip:1002@example.com" {
		t.Errorf("%s is dialled", req.URI)
	}
	aor := telephony.NewAoR("1002", "example.com")
	out := invitation(s.tx(), aor, "sip:1002@192.0.2.1;ob")
	out.Ways = []signal.Way{{Flow: book.of(aor)[0].Flow, AoR: aor, Instance: book.of(aor)[0].Instance}}
	r.Signalling().Send(out)
	invite := p.next()
	for !strings.HasPrefix(invite, "INVITE ") { // a 100 may come first
		invite = p.next()
	}
	p.say(strings.Replace(responseTo(invite, 486, "tag", ""), "486 ", "486 Ask sip:boss:CANARY@example.com ", 1))
	eventually(t, "the response is told", func() bool { return s.names() == "INVITE 486" })
	if got := s.events()[1].(*signal.Response).Reason; !strings.HasPrefix(got, "Ask sip:boss:***@example.com") {
		t.Errorf("the reason is %q", got)
	}
}

// OPTIONS within a dialog asks whether that stands, which is the exchange's to say; outside of one the edge answers.
func TestOptionsWithinADialog(t *testing.T) {
	r, s := startCalls(t, func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			s.Reply(signal.Reply{Tx: req.Tx, Status: 481})
		}
	})
	p := r.party("tcp")
	d := &dialogue{via: "TCP", callID: "options", cseq: 1}
	p.say(d.request("OPTIONS", "1"))
	if got := p.answer(); status(got) != "200" || !strings.Contains(got, "\r\nAllow: ") {
		t.Errorf("outside of a dialog: %s", got)
	}
	d.toTag = "to"
	p.say(d.request("OPTIONS", "2"))
	if got := p.answer(); status(got) != "481" {
		t.Errorf("within a dialog that is over: %s", got)
	}
	if got := s.names(); got != "OPTIONS" {
		t.Errorf("the exchange got %q", got)
	}
}

// The transactions that there are can be counted: one while its INVITE waits, none once it is refused and acknowledged.
func TestTransactionsAreCounted(t *testing.T) {
	r, s := startCalls(t, func(*edge.Signalling, signal.Event) {})
	p := r.party("tcp")
	d := &dialogue{via: "TCP", callID: "counted", cseq: 1}
	p.say(d.request("INVITE", "1"))
	eventually(t, "the INVITE is with the exchange", func() bool { return s.names() == "INVITE" })
	if n := r.Counters().ServerTxs; n != 1 {
		t.Errorf("%d transactions while an INVITE waits", n)
	}
	r.Signalling().Reply(signal.Reply{Tx: s.events()[0].(*signal.Request).Tx, Status: 486, ToTag: "to"})
	p.heard("486")
	d.toTag = "to"
	p.say(d.request("ACK", "1"))
	eventually(t, "no transaction is left", func() bool { return r.Counters().ServerTxs == 0 && r.Counters().ClientTxs == 0 })
}

func TestCallIsCanceled(t *testing.T) {
	invite := make(chan signal.TxID, 8)
	r, s := startCalls(t, func(s *edge.Signalling, ev signal.Event) {
		switch ev := ev.(type) {
		case *signal.Request:
			invite <- ev.Tx
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 180, ToTag: "to"})
		case *signal.Cancel:
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 487, ToTag: "to"})
		}
	})
	for _, transport := range []string{"udp", "tcp"} {
		p := r.party(transport)
		d := &dialogue{via: strings.ToUpper(transport), callID: "cancel-" + transport, cseq: 1}
		p.say(d.request("CANCEL", "1"))
		if got := p.next(); status(got) != "481" {
			t.Fatal(got)
		}
		p.say(d.request("INVITE", "1"))
		p.heard("180")
		p.say(d.request("CANCEL", "1", "Reason: SIP ;cause=200 ;text=\"Call completed elsewhere\""))
		p.say(d.request("CANCEL", "1"))
		seen := []string{p.next(), p.next(), p.next()}
		var got []string
		for _, a := range seen {
			got = append(got, status(a))
		}
		if all := strings.Join(got, " "); strings.Count(all, "200") != 2 || !strings.Contains(all, "487") {
			t.Errorf("%s: %s", transport, all)
		}
		d.toTag = "to"
		p.say(d.request("ACK", "1"))
		d.toTag = ""
		p.say(d.request("CANCEL", "1")) // too late, or its INVITE is forgotten
		if got := status(p.next()); got != "200" && got != "481" {
			t.Error(got)
		}
	}
	eventually(t, "both were told", func() bool { return s.names() == "INVITE Cancel INVITE Cancel" })
	if c := s.events()[1].(*signal.Cancel); !strings.Contains(c.Reason, "completed elsewhere") {
		t.Errorf("reason %q", c.Reason)
	}
}

// A stub that calls whoever registers: the other direction.
func TestCallGoesOut(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			var s *stub
			r, s := startCalls(t, func(g *edge.Signalling, ev signal.Event) {
				if res, ok := ev.(*signal.Response); ok && res.Status == 200 && res.Method == "INVITE" {
					g.Send(signal.Outgoing{Tx: res.Tx, Method: "ACK", URI: res.Contact, Ways: []signal.Way{res.Way}, Headers: []telephony.Header{
						{Name: "From", Value: res.From}, {Name: "To", Value: res.To}, {Name: "Call-ID", Value: res.CallID},
						{Name: "CSeq", Value: "1 ACK"}}})
				}
			})
			p := r.party(transport)
			p.say(message("REGISTER", strings.ToUpper(transport), "1002", "Contact: <sip:1002@a>"))
			p.next()
			registered, _ := s.fake.seen()
			flow := registered[len(registered)-1].Flow
			way := signal.Way{Flow: flow, AoR: telephony.NewAoR("1002", "example.com")}
			r.Signalling().Send(signal.Outgoing{Tx: s.tx(), Method: "INVITE", URI: "sip:1002@a;x", Ways: []signal.Way{way},
				Headers: []telephony.Header{{Name: "From", Value: "<sip:1001@example.com>;tag=f"}, {Name: "To", Value: "<sip:1002@example.com>"},
					{Name: "Call-ID", Value: "out"}, {Name: "CSeq", Value: "1 INVITE"}, {Name: "Contact", Value: "<sip:us>"}}})
			invite := p.next()
			if !strings.HasPrefix(invite, "INVITE sip:1002@a;x SIP/2.0\r\nVia: SIP/2.0/"+strings.ToUpper(transport)) {
				t.Fatal(invite)
			}
			p.say(responseTo(invite, 100, "", ""))
			p.say(responseTo(invite, 180, "t", ""))
			p.say(responseTo(invite, 200, "t", "Contact: <sip:1002@phone>\r\n"))
			if ack := p.next(); !strings.HasPrefix(ack, "ACK sip:1002@phone SIP/2.0\r\n") {
				t.Fatal(ack)
			}
			p.say(responseTo(invite, 200, "t", "Contact: <sip:1002@phone>\r\n"))
			if again := p.next(); !strings.HasPrefix(again, "ACK ") {
				t.Fatal(again)
			}
			if got := s.names(); got != "180 200" {
				t.Error(got)
			}
		})
	}
}

// responseTo renders a response to what was received, which must have one Via.
func responseTo(request string, status int, tag, more string) string {
	out := fmt.Sprintf("SIP/2.0 %d Whatever\r\n", status)
	for _, line := range strings.Split(request, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "To":
			if tag != "" && !strings.Contains(line, "tag=") {
				line += ";tag=" + tag
			}
			out += line + "\r\n"
		case "Via", "From", "Call-ID", "CSeq":
			out += line + "\r\n"
		}
	}
	return out + more + "Content-Length: 0\r\n\r\n"
}
