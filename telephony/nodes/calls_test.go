package nodes_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/internal/pki"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/nodes"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
)

// house is one node: an edge with a TCP and a UDP listener, its place among the others, and an exchange that notes what comes.
type house struct {
	*nodes.Nodes
	t    *testing.T
	edge *edge.Edge

	mu   sync.Mutex
	seen []signal.Event
	on   func(ev signal.Event)
	flow telephony.Flow // of the phone that registered last

	leaves func() // the others
}

func (h *house) Register(_ context.Context, req *registration.Request, reply func(registration.Reply)) {
	h.mu.Lock()
	h.flow = req.Flow
	h.mu.Unlock()
	reply(registration.Reply{Status: 200, Sender: registration.Proven})
}

func (h *house) FlowClosed(telephony.Flow) {}

func (h *house) Take(ev signal.Event) bool {
	h.mu.Lock()
	h.seen = append(h.seen, ev)
	on := h.on
	h.mu.Unlock()
	if on != nil {
		on(ev)
	}
	return true
}

func (h *house) Authenticate(context.Context, authentication.Credentials) authentication.Verdict {
	return authentication.Verdict{}
}

func (h *house) AuthenticateAtOnce(c authentication.Credentials) (authentication.Verdict, bool) {
	return authentication.Verdict{OK: true, User: authentication.Subscriber{AoR: c.User}}, true
}

func (h *house) Bindings(telephony.AoR) []registration.Binding { return nil }

func (h *house) Standing(telephony.AoR, telephony.Flow) (registration.Binding, bool) {
	return registration.Binding{}, false
}

func (h *house) Accept(remote netip.AddrPort) sip.Link { return h.edge.Signalling().Accept(remote) }

// names lists what came, and waits for it.
func (h *house) hears(want string) {
	h.t.Helper()
	var got string
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		var all []string
		for _, ev := range h.seen {
			switch ev := ev.(type) {
			case *signal.Request:
				all = append(all, ev.Method)
			case *signal.Response:
				all = append(all, fmt.Sprint(ev.Status))
			default:
				all = append(all, strings.TrimPrefix(fmt.Sprintf("%T", ev), "*signal."))
			}
		}
		h.mu.Unlock()
		if got = strings.Join(all, " "); got == want {
			return
		}
	}
	h.t.Fatalf("heard %q, want %q", got, want)
}

func (h *house) last() signal.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[len(h.seen)-1]
}

func build(t *testing.T, name string, a *pki.Authority, b book) *house {
	t.Helper()
	h := &house{t: t}
	e, err := edge.New(edge.Config{
		Node: name, Timers: sip.Timers{T1: 100 * time.Millisecond, T2: 400 * time.Millisecond},
		Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"}, {Name: "tcp", Transport: telephony.TCP, Address: "127.0.0.1:0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.edge = e
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b[name] = l.Addr().String()
	h.Nodes = nodes.New(nodes.Config{
		Node: name, Listener: l, Identity: a.Node(name, time.Now), Tokens: nodes.NewTokens([]byte("k")), Flows: e, Calls: h,
		Gone: edge.ErrFlowGone, Book: b,
	})
	runs(t, func(ctx context.Context) { _ = e.Serve(ctx, h) })
	h.leaves = runs(t, func(ctx context.Context) { _ = h.Serve(ctx) })
	for !serving(h) {
		time.Sleep(time.Millisecond)
	}
	return h
}

// serving reports whether the edge takes messages: its phones register only then.
func serving(h *house) bool {
	nc, err := net.Dial("tcp", h.edge.Addr("tcp").String())
	if err != nil {
		return false
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(nc, "\r\n\r\n")
	_, err = nc.Read(make([]byte, 2))
	return err == nil
}

func runs(t *testing.T, run func(context.Context)) (ends func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	ends = func() { cancel(); <-done }
	t.Cleanup(ends)
	return ends
}

// handset is a phone at a node: a raw connection.
type handset struct {
	t *testing.T
	net.Conn
	read []byte
	last string
}

func (h *house) handset(transport string) *handset {
	h.t.Helper()
	nc, err := net.Dial(transport, h.edge.Addr(transport).String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	p := &handset{t: h.t, Conn: nc}
	p.say("REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/X h;branch=z9hG4bKr;rport\r\nFrom: <sip:bob@example.org>;tag=1\r\n" +
		"To: <sip:bob@example.org>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\nContact: <sip:bob@phone>\r\nContent-Length: 0\r\n\r\n")
	p.next("SIP/2.0 200")
	return p
}

func (p *handset) say(s string) { _, _ = io.WriteString(p, s) }

// next reads until a message that begins so; none of them has a body.
func (p *handset) next(begin string) string {
	p.t.Helper()
	buf := make([]byte, 4096)
	for {
		for {
			head, rest, ok := strings.Cut(string(p.read), "\r\n\r\n")
			if !ok {
				break
			}
			p.read, p.last = []byte(rest), head
			if strings.HasPrefix(head, begin) {
				return head + "\r\n\r\n"
			}
		}
		n, err := p.Read(buf)
		if err != nil {
			p.t.Fatalf("no %q came: %v; read last:\n%s", begin, err, p.last)
		}
		p.read = append(p.read, buf[:n]...)
	}
}

// respond answers a request with all its Vias, and with further lines.
func (p *handset) respond(request string, status int, further ...string) {
	out := fmt.Sprintf("SIP/2.0 %d Whatever\r\n", status)
	for _, line := range strings.Split(request, "\r\n") {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "To":
			if !strings.Contains(line, "tag=") {
				line += ";tag=bobs"
			}
			out += line + "\r\n"
		case "Via", "From", "Call-ID", "CSeq":
			out += line + "\r\n"
		}
	}
	p.say(out + "Contact: <sip:bob@phone;ob>\r\n" + strings.Join(further, "") + "Content-Length: 0\r\n\r\n")
}

func (h *house) way(node string) signal.Way {
	h.mu.Lock()
	defer h.mu.Unlock()
	return signal.Way{Node: node, Flow: h.flow, AoR: telephony.NewAoR("bob", "example.org")}
}

func toBob(method string, tx signal.TxID, cseq int, w signal.Way, toTag string) signal.Outgoing {
	return signal.Outgoing{Tx: 1<<63 | tx, Method: method, URI: "sip:bob@phone;ob", Ways: []signal.Way{w}, Headers: []telephony.Header{
		{Name: "From", Value: "<sip:alice@example.org>;tag=alices"}, {Name: "To", Value: "<sip:bob@example.org>" + toTag},
		{Name: "Call-ID", Value: "between"}, {Name: "CSeq", Value: fmt.Sprint(cseq, " ", method)}, {Name: "Contact", Value: "<sip:token@one>"},
	}}
}

// A call from one node to a phone at another: INVITE, ringing, answer, ACK, and a BYE from either side.
func TestCallToAPhoneOfAnotherNode(t *testing.T) {
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			a, b := authority(t), book{}
			one, two := build(t, "one", a, b), build(t, "two", a, b)
			phone := two.handset(transport)
			way := two.way("two")
			s := one.edge.Signalling()
			s.Send(toBob("INVITE", 1, 1, way, ""))
			invite := phone.next("INVITE sip:bob@phone;ob SIP/2.0")
			if strings.Contains(invite, "Route:") || strings.Count(invite, "Via:") != 1 || !strings.Contains(invite, "Max-Forwards: 69\r\n") {
				t.Errorf("%s", invite)
			}
			phone.respond(invite, 180)
			one.hears("180")
			phone.respond(invite, 200)
			one.hears("180 200")
			ok := one.last().(*signal.Response)
			if ok.Way != way || ok.ToTag != "bobs" || ok.Contact != "sip:bob@phone;ob" {
				t.Errorf("%+v", ok)
			}
			s.Send(toBob("ACK", 1, 1, way, ";tag=bobs"))
			phone.next("ACK sip:bob@phone;ob SIP/2.0")
			phone.respond(invite, 200) // its ACK was lost, it thinks
			phone.next("ACK sip:bob@phone;ob SIP/2.0")

			s.Send(toBob("INFO", 2, 2, way, ";tag=bobs"))
			phone.respond(phone.next("INFO"), 200)
			one.hears("180 200 200")

			one.mu.Lock()
			one.on = func(ev signal.Event) {
				if req, ok := ev.(*signal.Request); ok && req.Method == "INVITE" {
					s.Reply(signal.Reply{Tx: req.Tx, Status: 200})
				} else if ok {
					s.Reply(signal.Reply{Tx: req.Tx, Status: 202})
				}
			}
			one.mu.Unlock()
			within := func(method, branch string, cseq int) string {
				return fmt.Sprintf("%s sip:token@one SIP/2.0\r\nVia: SIP/2.0/X h;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\n"+
					"From: <sip:bob@example.org>;tag=bobs\r\nTo: <sip:alice@example.org>;tag=alices\r\nCall-ID: between\r\nCSeq: %d %s\r\n"+
					"Contact: <sip:bob@phone;ob>\r\nContent-Length: 0\r\n\r\n", method, branch, cseq, method)
			}
			phone.say(within("INVITE", "again", 1))
			phone.next("SIP/2.0 200")
			phone.say(within("ACK", "acked", 1))
			one.hears("180 200 200 INVITE Ack")
			phone.say(within("BYE", "bye", 2))
			phone.next("SIP/2.0 202")
			one.hears("180 200 200 INVITE Ack BYE")
			if req := one.last().(*signal.Request); req.Way.Node != "two" || req.Way.Flow != way.Flow || req.URI != "sip:token@one" {
				t.Errorf("%+v", req)
			}
			two.hears("")
		})
	}
}

func TestCallToAPhoneOfAnotherNodeIsGivenUp(t *testing.T) {
	a, b := authority(t), book{}
	one, two := build(t, "one", a, b), build(t, "two", a, b)
	phone := two.handset("udp")
	way := two.way("two")
	s := one.edge.Signalling()
	for i := range 20 { // INVITE and CANCEL leave together: the CANCEL waits for a provisional response, and comes after
		out := toBob("INVITE", signal.TxID(i+1), 1, way, "")
		out.Headers[2].Value = fmt.Sprint("call-", i)
		s.Send(out)
		s.Cancel(out.Tx, "SIP;cause=200")
		of := func(method string) string { // not a late repetition of the call before
			for {
				if m := phone.next(method); strings.Contains(m, fmt.Sprint("Call-ID: call-", i, "\r\n")) {
					return m
				}
			}
		}
		invite := of("INVITE")
		phone.respond(invite, 180)
		cancel := of("CANCEL")
		if !strings.Contains(cancel, "Reason: SIP;cause=200\r\n") {
			t.Fatal(cancel)
		}
		phone.respond(cancel, 200)
		phone.respond(invite, 487)
		of("ACK")
	}
	one.hears(strings.TrimSpace(strings.Repeat("180 487 ", 20)))
	two.hears("")
}

// What cannot be reached is said at once, so that the phone's next way is tried.
func TestWaysToOtherNodesFail(t *testing.T) {
	a, b := authority(t), book{}
	one, two := build(t, "one", a, b), build(t, "two", a, b)
	phone := two.handset("tcp")
	gone := two.way("two")
	_ = phone.Close()
	next := two.handset("tcp")
	open := two.way("two")
	s := one.edge.Signalling()
	out := toBob("INVITE", 1, 1, gone, "")
	unknown := gone
	unknown.Node = "three"
	out.Ways = []signal.Way{unknown, gone, open}
	s.Send(out)
	next.respond(next.next("INVITE"), 486)
	one.hears("486")
	out.Tx, out.Ways = 1<<63|2, []signal.Way{unknown}
	s.Send(out)
	one.hears("486 503")
	if r := one.last().(*signal.Response); !r.Local || r.Reason == "" {
		t.Errorf("%+v", r)
	}
	out.Tx, out.Ways = 1<<63|3, []signal.Way{gone}
	s.Send(out)
	one.hears("486 503 430")
}

// A node that fails leaves nobody's phone ringing at another one.
func TestAPhoneRingsForNoNodeThatIsGone(t *testing.T) {
	for _, transport := range []string{"tcp", "udp"} {
		for _, status := range []int{100, 180} {
			t.Run(fmt.Sprint(transport, " ", status), func(t *testing.T) {
				a, b := authority(t), book{}
				one, two := build(t, "one", a, b), build(t, "two", a, b)
				phone := two.handset(transport)
				one.edge.Signalling().Send(toBob("INVITE", 1, 1, two.way("two"), ""))
				invite := phone.next("INVITE")
				phone.respond(invite, status)
				if status > 100 {
					one.hears("180")
				}
				one.leaves()
				phone.respond(phone.next("CANCEL sip:bob@phone;ob SIP/2.0"), 200)
				phone.respond(invite, 487)
				phone.next("ACK")
			})
		}
	}
}

// Two phones behind one target answer at once. The second is told that it was not heard, at whatever node its connection is.
func TestTwoPhonesBehindATargetOfAnotherNodeAnswer(t *testing.T) {
	for _, acked := range []bool{false, true} {
		a, b := authority(t), book{}
		one, two := build(t, "one", a, b), build(t, "two", a, b)
		phone := two.handset("tcp")
		way := two.way("two")
		s := one.edge.Signalling()
		s.Send(toBob("INVITE", 1, 1, way, ""))
		invite := phone.next("INVITE")
		phone.respond(invite, 200)
		one.hears("200")
		if acked {
			s.Send(toBob("ACK", 1, 1, way, ";tag=bobs"))
			phone.next("ACK")
		}
		other := strings.Replace(invite, "To: <sip:bob@example.org>", "To: <sip:bob@example.org>;tag=other", 1)
		phone.respond(other, 200, "Record-Route: <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>\r\n")
		for _, method := range []string{"ACK", "BYE"} {
			got := phone.next(method + " sip:bob@phone;ob SIP/2.0")
			if !strings.Contains(got, "To: <sip:bob@example.org>;tag=other\r\n") || !strings.Contains(got, "From: <sip:alice@example.org>;tag=alices\r\n") ||
				!strings.Contains(got, "Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n") {
				t.Errorf("acked %t: %s", acked, got)
			}
			if method == "BYE" {
				phone.respond(got, 200)
			}
		}
		phone.respond(other, 200) // its ACK was lost, it thinks
		phone.next("ACK sip:bob@phone;ob SIP/2.0")
		one.hears("200")
	}
}

// A phone may come to another node in a call, or the node may start anew meanwhile. Whatever it is asked there tells the node whose call it is in.
func TestAPhoneComesToAnotherNodeInItsCall(t *testing.T) {
	a, b := authority(t), book{}
	one, two := build(t, "one", a, b), build(t, "two", a, b)
	phone := two.handset("tcp")
	one.mu.Lock()
	one.on = func(ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			one.edge.Signalling().Reply(signal.Reply{Tx: req.Tx, Status: 200})
		}
	}
	one.mu.Unlock()
	one.edge.Signalling().Send(toBob("UPDATE", 2, 2, two.way("two"), ";tag=bobs"))
	phone.respond(phone.next("UPDATE"), 200)
	one.hears("200")
	phone.say("BYE sip:token@one SIP/2.0\r\nVia: SIP/2.0/X h;branch=z9hG4bKmoved;rport\r\nMax-Forwards: 70\r\n" +
		"From: <sip:bob@example.org>;tag=bobs\r\nTo: <sip:alice@example.org>;tag=alices\r\nCall-ID: between\r\nCSeq: 7 BYE\r\nContent-Length: 0\r\n\r\n")
	one.hears("200 BYE")
	phone.next("SIP/2.0 200")
	two.hears("")
}
