package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/trace"
)

// startSoon is startCalls with timers that a test can wait for.
func startSoon(t *testing.T, s *stub, change func(*edge.Config)) *running {
	t.Helper()
	c := edge.Config{
		Listeners: everyKind(), Timers: sip.Timers{T1: 50 * time.Millisecond, T2: 200 * time.Millisecond, T4: 300 * time.Millisecond},
	}
	if change != nil {
		change(&c)
	}
	r := startConfigured(t, s, c)
	s.run(t, r)
	return r
}

// startKeeping starts an edge that remembers who registers, and does nothing of itself about calls.
func startKeeping(t *testing.T) (*running, *stub, *registered) {
	t.Helper()
	book := &registered{}
	s := newStub(func(*edge.Signalling, signal.Event) {})
	s.bindings = book.of
	book.add(&s.fake)
	return startSoon(t, s, nil), s, book
}

// rseqOf returns the number of a reliable response, or 0.
func rseqOf(response string) (n uint32) {
	_, rest, _ := strings.Cut(response, "RSeq: ")
	_, _ = fmt.Sscan(rest, &n)
	return n
}

// A PRACK that nobody waits for costs what any request of a stranger does: a place in the budget, and no state.
func TestPRACKsOfStrangers(t *testing.T) {
	r := startSoon(t, newStub(answering), func(c *edge.Config) {
		c.Timers, c.Limits = sip.Timers{}, edge.Limits{Admission: 5, UDPReplies: 1000}
	})
	p := r.party("udp")
	seen := map[string]int{}
	for i := range 50 {
		d := &dialogue{via: "UDP", callID: fmt.Sprint("nobodys-", i), toTag: "to", cseq: 2}
		p.say(d.request("PRACK", fmt.Sprint(i), "RAck: 1 1 INVITE"))
		seen[status(p.next())]++
	}
	if seen["481"] == 0 || seen["481"] > 20 || seen["481"]+seen["503"] != 50 {
		t.Errorf("answers: %v", seen)
	}
	if n := r.CallTransactions(); n != 0 {
		t.Errorf("%d transactions are kept for strangers", n)
	}
}

// A 2xx whose ACK is lost is sent again, over streams too, and at last the exchange is told.
func TestACKIsLost(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			s := newStub(answering)
			r := startSoon(t, s, nil)
			p := r.party(transport)
			d := &dialogue{via: strings.ToUpper(transport), callID: "lost", cseq: 1}
			p.say(d.request("INVITE", "1"))
			first := p.heard("200")
			for range 3 {
				if again := p.heard("200"); again != first {
					t.Fatalf("%s\nthen\n%s", first, again)
				}
			}
			eventually(t, "the exchange is told", func() bool { return s.names() == "INVITE AckMissing" })
		})
	}
}

// Lost responses: the phone asks again and gets the last answer again, and the exchange hears of it once.
func TestResponsesAreLost(t *testing.T) {
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok && req.Method == "BYE" {
			s.Reply(signal.Reply{Tx: req.Tx, Status: 481})
		} else if ok {
			s.Reply(signal.Reply{Tx: req.Tx, Status: 486, ToTag: "x"})
		}
	})
	r := startSoon(t, s, nil)
	p := r.party("udp")
	d := &dialogue{via: "UDP", callID: "c", cseq: 1}
	for range 3 {
		p.say(d.request("INVITE", "1"))
	}
	for range 4 { // by the clock too, until the ACK
		p.heard("486")
	}
	d.toTag = "x"
	p.say(d.request("ACK", "1"))
	d.cseq = 2
	p.say(d.request("BYE", "2"))
	first := p.heard("481")
	p.say(d.request("BYE", "2"))
	if again := p.heard("481"); again != first {
		t.Errorf("%s\nthen\n%s", first, again)
	}
	if got := s.names(); got != "INVITE BYE" {
		t.Error(got)
	}
}

func TestCopyOfARequestIsRefused(t *testing.T) {
	hold := make(chan struct{})
	r, s := startCalls(t, func(*edge.Signalling, signal.Event) { <-hold })
	defer close(hold)
	one, two := r.party("tcp"), r.party("tcp")
	d := &dialogue{via: "TCP", callID: "copied", cseq: 1}
	one.say(d.request("INVITE", "1"))
	one.heard("100")
	two.say(d.request("INVITE", "2"))
	two.heard("482")
	if got := s.names(); got != "INVITE" {
		t.Error(got)
	}
}

func TestPRACK(t *testing.T) {
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		switch ev := ev.(type) {
		case *signal.Request:
			if ev.Method == "PRACK" {
				if string(ev.Body) == "v=0\r\n" {
					s.Reply(signal.Reply{Tx: ev.Tx, Status: 488})
				}
				return
			}
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 183, ToTag: "to", Reliable: true, ContentType: "application/sdp", Body: []byte("v=0")})
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 200, ToTag: "to"}) // waits
		case *signal.Pracked:
			if ev.Missing {
				s.Reply(signal.Reply{Tx: ev.Tx, Status: 504})
			}
		}
	})
	r := startSoon(t, s, nil)
	p := r.party("tcp")
	d := &dialogue{via: "TCP", callID: "pracked", cseq: 1}
	p.say(d.request("INVITE", "1", "Supported: 100rel", "Require: 100rel"))
	got := p.heard("183")
	if rseqOf(got) == 0 || !strings.Contains(got, "Require: 100rel\r\n") {
		t.Error(got)
	}
	first := rseqOf(got)
	p.heard("183")
	d.cseq, d.toTag = 2, "to"
	p.say(d.request("PRACK", "2", fmt.Sprintf("RAck: %d 1 INVITE", first+8)))
	p.heard("481")
	p.say(d.request("PRACK", "3", fmt.Sprintf("RAck: %d 1", first)))
	p.heard("400")
	p.say(d.request("PRACK", "4", fmt.Sprintf("RAck: %d 1 INVITE", first)))
	seen := []string{p.next(), p.next()}
	for strings.HasPrefix(seen[0], "SIP/2.0 183") { // was on its way
		seen = []string{seen[1], p.next()}
	}
	if !strings.Contains(seen[0]+seen[1], "CSeq: 2 PRACK") || !strings.Contains(seen[0]+seen[1], "CSeq: 1 INVITE") {
		t.Error(seen)
	}
	eventually(t, "the exchange is told", func() bool { return s.names() == "INVITE Pracked" })
	if ev := s.events()[1].(*signal.Pracked); ev.RSeq != first || ev.Missing || ev.Tx != s.events()[0].(*signal.Request).Tx {
		t.Errorf("%+v", ev)
	}

	// A PRACK with a description is the exchange's to answer.
	offers := &dialogue{via: "TCP", callID: "offers", cseq: 1}
	p.say(offers.request("INVITE", "11", "Require: 100rel"))
	rack := fmt.Sprintf("RAck: %d 1 INVITE", rseqOf(p.heard("183")))
	offers.cseq, offers.toTag = 2, "to"
	p.say(strings.Replace(offers.request("PRACK", "12", rack, "Content-Type: application/sdp"),
		"Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nv=0\r\n", 1))
	if got := p.heard("488"); !strings.Contains(got, "CSeq: 2 PRACK") {
		t.Error(got)
	}

	other := r.party("udp")
	d = &dialogue{via: "UDP", callID: "never", cseq: 1}
	other.say(d.request("INVITE", "7"))
	other.heard("504")
	missing := slices.ContainsFunc(s.events(), func(ev signal.Event) bool {
		p, ok := ev.(*signal.Pracked)
		return ok && p.Missing
	})
	if !missing {
		t.Errorf("nobody was told: %s", s.names())
	}
}

// registered are bindings as a registrar would have them.
type registered struct {
	mu  sync.Mutex
	all []registration.Binding
}

func (r *registered) of(aor telephony.AoR) []registration.Binding {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.all), func(b registration.Binding) bool { return b.AoR != aor })
}

// add binds the flow that a REGISTER comes over.
func (r *registered) add(f *fake) {
	f.decide = func(req *registration.Request, reply func(registration.Reply)) {
		r.mu.Lock()
		r.all = append(r.all, registration.Binding{
			Account: "acme", AoR: req.To, Contact: req.Contacts[0].URI, Instance: req.Contacts[0].Instance, Flow: req.Flow, Reachable: true,
			RefreshedAt: time.Now(), Proof: 7,
		})
		r.mu.Unlock()
		accept(req, reply)
	}
	f.closing = func(flow telephony.Flow) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = slices.DeleteFunc(r.all, func(b registration.Binding) bool { return b.Flow.ID == flow.ID })
	}
}

func (p *party) register(user, instance string) {
	p.say(message("REGISTER", "TCP", user, fmt.Sprintf("Contact: <sip:%s@192.0.2.1;ob>;+sip.instance=\"<urn:%s>\"", user, instance)))
	p.heard("200")
}

// A response that is due when its flow dies goes to the newest flow of the same phone, never to another phone of the user.
func TestResponseFollowsThePhone(t *testing.T) {
	book := &registered{}
	answer := make(chan struct{})
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			<-answer
			s.Reply(signal.Reply{Tx: req.Tx, Status: 200, ToTag: "to"})
		}
	})
	s.bindings = book.of
	book.add(&s.fake)
	r := startSoon(t, s, nil)
	first, other := r.party("tcp"), r.party("tcp")
	first.register("1001", "one")
	other.register("1001", "two")
	d := &dialogue{via: "TCP", callID: "moving", cseq: 1}
	first.say(d.request("INVITE", "1"))
	first.heard("100")
	_ = first.Close()
	eventually(t, "the flow is gone", func() bool { _, closed := s.fake.seen(); return len(closed) == 1 })
	close(answer)
	eventually(t, "the response found no way", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "response_lost"}] > 0
	})
	second := r.party("tcp")
	second.register("1001", "one")
	second.heard("200") // by the clock: its ACK is missing
	d.toTag = "to"
	second.say(d.request("ACK", "2"))
	eventually(t, "the ACK came", func() bool { return s.names() == "INVITE Ack" })
	_ = other.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := other.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes went to another phone", n)
	}
}

// A phone whose connection breaks while it waits for an answer may give up over its next one. No other phone of the user may, nor one that says so.
func TestACANCELFollowsThePhone(t *testing.T) {
	book := &registered{}
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		switch ev := ev.(type) {
		case *signal.Request:
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 180, ToTag: "to"})
		case *signal.Cancel:
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 487, ToTag: "to"})
		}
	})
	s.bindings = book.of
	book.add(&s.fake)
	r := startSoon(t, s, nil)
	first, other, stranger := r.party("tcp"), r.party("tcp"), r.party("tcp")
	first.register("1001", "one")
	other.register("1001", "two")
	d := &dialogue{via: "TCP", callID: "giving-up", cseq: 1}
	first.say(d.request("INVITE", "1"))
	first.heard("180")
	_ = first.Close()
	eventually(t, "the flow is gone", func() bool { _, closed := s.fake.seen(); return len(closed) == 1 })
	for _, p := range []*party{other, stranger} {
		p.say(d.request("CANCEL", "1"))
		if got := p.next(); status(got) != "481" {
			t.Errorf("another phone's CANCEL gets %s", got)
		}
	}
	second := r.party("tcp")
	second.register("1001", "one")
	second.say(d.request("CANCEL", "1"))
	seen := map[string]bool{status(second.next()): true, status(second.next()): true}
	if !seen["200"] || !seen["487"] || s.names() != "INVITE Cancel" {
		t.Errorf("the CANCEL and its INVITE get %v; told are %s", seen, s.names())
	}
}

// A phone that has gone over to another node hears nothing of this one's addresses: a response that is due waits until it is back.
func TestResponseIsNotSentIntoTheVoid(t *testing.T) {
	book := &registered{}
	answer := make(chan struct{})
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			<-answer
			s.Reply(signal.Reply{Tx: req.Tx, Status: 200, ToTag: "to"})
		}
	})
	s.bindings = book.of
	book.add(&s.fake)
	r := startSoon(t, s, func(c *edge.Config) { c.Node = "here" })
	phone, there := r.party("tcp"), r.party("udp")
	phone.register("1001", "one")
	d := &dialogue{via: "TCP", callID: "gone-over", cseq: 1}
	phone.say(d.request("INVITE", "1"))
	phone.heard("100")
	_ = phone.Close()
	eventually(t, "the flow is gone", func() bool { _, closed := s.fake.seen(); return len(closed) == 1 })
	remote := there.LocalAddr().(*net.UDPAddr).AddrPort()
	book.mu.Lock()
	book.all = []registration.Binding{{Account: "acme", AoR: telephony.NewAoR("1001", "example.com"), Node: "elsewhere", Instance: "urn:one",
		Contact: "sip:1001@192.0.2.1;ob", Reachable: true, RefreshedAt: time.Now(),
		Flow: telephony.Flow{ID: 7, Listener: "udp", Transport: telephony.UDP, Remote: remote}}}
	book.mu.Unlock()
	close(answer)
	eventually(t, "the response found no way", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "response_lost"}] > 0
	})
	_ = there.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := there.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes were sent from an address that the phone does not write to", n)
	}
}

// A phone over UDP registers anew from another address in a call, as after its NAT has forgotten the old one: what is sent to it from then
// on goes there. Another phone of the user's changes nothing.
func TestRequestsFollowThePhoneOverUDP(t *testing.T) {
	r, s, book := startKeeping(t)
	first, other, second := r.party("udp"), r.party("udp"), r.party("udp")
	first.register("1002", "phone")
	aor := telephony.NewAoR("1002", "example.com")
	before := book.of(aor)[0]
	rings := func(p *party) {
		t.Helper()
		out := invitation(s.tx(), aor, "sip:1002@192.0.2.1;ob")
		out.Ways = []signal.Way{{Flow: before.Flow, AoR: aor, Instance: before.Instance}}
		r.Signalling().Send(out)
		if got := p.next(); !strings.HasPrefix(got, "INVITE ") {
			t.Fatal(got)
		}
	}
	other.register("1002", "another")
	rings(first)
	second.register("1002", "phone")
	book.mu.Lock()
	book.all = book.all[1:] // the phone has one binding, and its address is the new one
	book.mu.Unlock()
	rings(second)
}

// A phone that is called and whose flow ends before it answers is tried on its next way.
func TestFlowEndsBeforeAnAnswer(t *testing.T) {
	r, s, book := startKeeping(t)
	one, two := r.party("tcp"), r.party("tls")
	one.register("1002", "phone")
	two.register("1002", "phone")
	aor := telephony.NewAoR("1002", "example.com")
	out := invitation(s.tx(), aor, "sip:1002@192.0.2.1;ob")
	bindings := book.of(aor)
	for _, b := range bindings {
		out.Ways = append(out.Ways, signal.Way{Flow: b.Flow, AoR: aor, Instance: b.Instance})
	}
	r.Signalling().Send(out)
	one.next()
	_ = one.Close()
	invite := two.next()
	if !strings.HasPrefix(invite, "INVITE ") || !strings.Contains(invite, "SIP/2.0/TLS ") {
		t.Fatal(invite)
	}
	two.say(responseTo(invite, 180, "t", ""))
	eventually(t, "it rings", func() bool { return s.names() == "180" })
	_ = two.Close()
	eventually(t, "it is given up", func() bool { return s.names() == "180 503" })
	if res := s.events()[1].(*signal.Response); !res.Local || res.Reason == "" || res.Method != "INVITE" {
		t.Errorf("%+v", res)
	}
	r.Signalling().Send(invitation(s.tx(), aor, "sip:x"))
	eventually(t, "without a way", func() bool { return s.names() == "180 503 503" })
}

// A 2xx that cannot be read is told with what names its dialog, and a provisional response not at all: the phone may still answer.
func TestAnAnswerThatCannotBeRead(t *testing.T) {
	to := regexp.MustCompile(`\r\nTo: (.*)\r\n`)
	for name, c := range map[string]struct{ broken, to, tag string }{
		"a Contact":             {"Contact: <sip:1002@192.0.2.1\r\n", "$1", "tag"},
		"a Record-Route":        {"Record-Route: nonsense <\r\n", "$1", "tag"},
		"a To":                  {"", "<sip:1002@example.com;tag=tag", "tag"},
		"a To of another kind":  {"", "Bob, <sip:1002@example.com>;x=\xff\x01; TAG = tag.1 ;y", "tag.1"},
		"a To that is too long": {"", "<sip:" + strings.Repeat("x", 2000) + "@example.com>;tag=tag", "tag"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s, book := startKeeping(t)
			p := r.party("tcp")
			p.register("1002", "phone")
			aor := telephony.NewAoR("1002", "example.com")
			b := book.of(aor)[0]
			out := invitation(s.tx(), aor, "sip:1002@192.0.2.1;ob")
			out.Ways = []signal.Way{{Flow: b.Flow, AoR: aor, Instance: b.Instance}}
			r.Signalling().Send(out)
			invite := p.next()
			for _, status := range []int{180, 200} {
				p.say(to.ReplaceAllString(responseTo(invite, status, "tag", c.broken), "\r\nTo: "+c.to+"\r\n"))
			}
			eventually(t, "the answer is told", func() bool { return s.names() != "" })
			if got := s.events()[0].(*signal.Response); s.names() != "200" || got.Fault == "" || got.Local || got.ToTag != c.tag || got.CallID == "" {
				t.Errorf("told %s: %+v", s.names(), got)
			}
			if n := r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "response"}]; n != 2 {
				t.Errorf("%d responses are counted as unreadable", n)
			}
		})
	}
}

// Of a 2xx that does not even have a tag nobody can say whose dialog it is: the call has failed, and what is said again is absorbed.
func TestAnAnswerWithoutATagThatCannotBeRead(t *testing.T) {
	r, s, book := startKeeping(t)
	p := r.party("tcp")
	p.register("1002", "phone")
	aor := telephony.NewAoR("1002", "example.com")
	out := invitation(s.tx(), aor, "sip:1002@192.0.2.1;ob")
	out.Ways = []signal.Way{{Flow: book.of(aor)[0].Flow, AoR: aor}}
	r.Signalling().Send(out)
	invite := p.next()
	for range 3 {
		p.say(strings.Replace(responseTo(invite, 200, "", ""), "To: <", "To: x<<", 1))
	}
	p.say(message("OPTIONS", "TCP", "1002"))
	p.heard("200") // all have been read
	eventually(t, "it is told", func() bool { return s.names() != "" })
	if got := s.events()[0].(*signal.Response); s.names() != "502" || !got.Local || !strings.Contains(got.Reason, "Bad To") {
		t.Errorf("told %s: %+v", s.names(), got)
	}
	if n := r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "response"}]; n != 1 {
		t.Errorf("%d responses are counted as unreadable", n)
	}
}

func invitation(tx signal.TxID, to telephony.AoR, uri string) signal.Outgoing {
	return signal.Outgoing{Tx: tx, Method: "INVITE", URI: uri, Headers: []telephony.Header{
		{Name: "From", Value: "<sip:1001@example.com>;tag=f"}, {Name: "To", Value: "<sip:" + to.String() + ">"},
		{Name: "Call-ID", Value: fmt.Sprint("out-", tx)}, {Name: "CSeq", Value: "1 INVITE"}, {Name: "Contact", Value: "<sip:us>"},
	}}
}

// forged returns an edge whose exchange refuses everything, a sender whose address may be forged, and what it is to send.
func forged(t *testing.T, method string) (r *running, p *party, request string) {
	t.Helper()
	r = startSoon(t, newStub(func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			s.Reply(signal.Reply{Tx: req.Tx, Status: 481})
		}
	}), nil)
	d := &dialogue{via: "UDP", callID: "forged", toTag: "unknown", cseq: 1}
	return r, r.party("udp"), d.request(method, "1")
}

// An address that nobody proved anything from may be forged: it gets at most one and a half times what it sent, whatever is
// repeated by the clock.
func TestForgedAddressesGetLittle(t *testing.T) {
	r, p, request := forged(t, "INVITE")
	p.say(request)
	eventually(t, "what is too much is not sent", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "udp", Reason: "amplification"}] >= 3
	})
	_ = p.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	got := 0
	for buf := make([]byte, 4096); ; {
		n, err := p.Read(buf)
		if err != nil {
			break
		}
		got += n
	}
	if got == 0 || 2*got > 3*len(request) {
		t.Errorf("%d bytes for %d", got, len(request))
	}
}

// What such an address sends again gets no more than that either, however often it comes.
func TestForgedCopiesGetLittle(t *testing.T) {
	r, p, request := forged(t, "BYE")
	got := 0
	buf := make([]byte, 4096)
	for range 8 {
		p.say(request)
		_ = p.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for n, err := p.Read(buf); err == nil; n, err = p.Read(buf) {
			got += n
		}
	}
	eventually(t, "what is too much is not sent", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "udp", Reason: "amplification"}] >= 6
	})
	if got == 0 || 2*got > 3*len(request) {
		t.Errorf("%d bytes for %d", got, len(request))
	}
}

// What is sent before the edge serves goes out, or fails; the exchange is told when it can be.
func TestRequestsOfAnEarlierLife(t *testing.T) {
	phone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = phone.Close() }()
	_ = phone.SetReadDeadline(time.Now().Add(20 * time.Second))
	s := newStub(func(*edge.Signalling, signal.Event) {})
	e, err := edge.New(edge.Config{Listeners: everyKind()[:2]})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	aor := telephony.NewAoR("1002", "example.com")
	remote := netip.MustParseAddrPort(phone.LocalAddr().String())
	for transport, out := range map[telephony.Transport]signal.Outgoing{"udp": invitation(s.tx(), aor, "sip:a"), "tcp": invitation(s.tx(), aor, "sip:b")} {
		out.Method, out.Headers[3].Value = "BYE", "9 BYE"
		out.Ways = []signal.Way{{Flow: telephony.Flow{ID: 1, Listener: string(transport), Transport: transport, Remote: remote}, AoR: aor}}
		e.Signalling().Send(out)
	}
	if got := s.names(); got != "" {
		t.Errorf("told %s already", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- e.Serve(ctx, s) }()
	defer func() { cancel(); <-served }()
	buf := make([]byte, 4096)
	n, from, err := phone.ReadFrom(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "BYE sip:a ") {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	eventually(t, "the lost one is told", func() bool { return s.names() == "503" })
	_, _ = phone.WriteTo([]byte(responseTo(string(buf[:n]), 200, "", "")), from)
	eventually(t, "the other one is told", func() bool { return s.names() == "503 200" })
}

// A panic of the exchange ends the request that caused it.
func TestExchangePanics(t *testing.T) {
	r, s := startCalls(t, answering)
	s.take = func(ev signal.Event) bool {
		if req, ok := ev.(*signal.Request); ok && req.CallID == "bad" {
			panic("injected")
		}
		return true
	}
	p := r.party("tcp")
	bad, good := &dialogue{via: "TCP", callID: "bad", cseq: 1}, &dialogue{via: "TCP", callID: "good", cseq: 1}
	p.say(bad.request("INVITE", "1") + good.request("INVITE", "2"))
	p.heard("500")
	p.heard("200")
	if n := r.Counters().Panics; n != 1 {
		t.Errorf("%d panics", n)
	}
}

// When the exchange has no room, the request gets 503, and nothing of it is left.
func TestExchangeIsFull(t *testing.T) {
	r, s := startCalls(t, answering)
	s.take = func(signal.Event) bool { return false }
	p := r.party("tcp")
	d := &dialogue{via: "TCP", callID: "full", cseq: 1}
	p.say(d.request("INVITE", "1"))
	if got := p.heard("503"); !strings.Contains(got, "Retry-After: ") {
		t.Error(got)
	}
}

// Who begins a call proves who he is; within a dialog that is the exchange's to ask for.
func TestCallersAreAuthenticated(t *testing.T) {
	r, s := startCalls(t, func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			s.Reply(signal.Reply{Tx: req.Tx, Challenge: req.User.IsZero(), Status: 486})
		}
	})
	s.verdict = func(c authentication.Credentials) (authentication.Verdict, bool) {
		switch {
		case len(c.Authorize) == 0:
			return authentication.Verdict{Reply: registration.Reply{Status: 401, Challenges: []string{`Digest realm="x", nonce="n"`}}}, true
		case c.Authorize[0] == "Digest somebody else":
			return authentication.Verdict{Reply: registration.Reply{Status: 403, Sender: registration.Wrong}}, true
		case c.Authorize[0] == "Digest away":
			return authentication.Verdict{Reply: registration.Reply{Status: 503, RetryAfter: 9}}, true
		}
		return authentication.Verdict{OK: true, User: authentication.Subscriber{Account: "acme", AoR: c.User}}, true
	}
	p := r.party("tcp")
	for i, c := range []struct{ method, toTag, authorization, status, want string }{
		{"INVITE", "", "", "407", "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\n"},
		{"REFER", "", "", "407", "Proxy-Authenticate: "},
		{"INVITE", "", "Digest somebody else", "403", ""},
		{"INVITE", "", "Digest away", "503", "Retry-After: 9\r\n"},
		{"BYE", "", "", "481", ""},
		{"NOTIFY", "", "", "481", ""},
		{"MESSAGE", "", "", "405", "Allow: REGISTER, OPTIONS, INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO, REFER, NOTIFY\r\n"},
		{"BYE", "tag", "", "407", "Proxy-Authenticate: Digest"},
		{"BYE", "tag", "Digest right", "486", ""},
		{"INFO", "tag", "", "486", ""}, // he has proved it on this flow
		{"INVITE", "", "Digest right", "486", ""},
		{"INVITE", "", "", "407", ""}, // every call anew
	} {
		d := &dialogue{via: "TCP", callID: fmt.Sprint("auth-", i), toTag: c.toTag, cseq: 1}
		var more []string
		if c.authorization != "" {
			more = []string{"Proxy-Authorization: " + c.authorization}
		}
		p.say(d.request(c.method, fmt.Sprint(i), more...))
		got := p.answer()
		if status(got) != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s %s %q: want %s %q, got\n%s", c.method, c.toTag, c.authorization, c.status, c.want, got)
		}
	}
}

// While the directory is asked, a CANCEL waits behind its INVITE.
func TestCANCELWaitsForTheDirectory(t *testing.T) {
	asked := make(chan struct{})
	s := &slow{stub: *newStub(answering), asked: asked}
	r := start(t, s, edge.Limits{})
	s.run(t, r)
	p := r.party("tcp")
	d := &dialogue{via: "TCP", callID: "slow", cseq: 1}
	p.say(d.request("INVITE", "1"))
	p.heard("100")
	p.say(d.request("INVITE", "1") + d.request("CANCEL", "1"))
	p.heard("200")
	if got := s.names(); got != "" {
		t.Errorf("%s before the sender is known", got)
	}
	close(asked)
	eventually(t, "both came", func() bool { return s.names() == "INVITE Cancel" })
}

// slow does not know anybody from memory.
type slow struct {
	stub
	asked chan struct{}
}

func (s *slow) AuthenticateAtOnce(authentication.Credentials) (authentication.Verdict, bool) {
	return authentication.Verdict{}, false
}

func (s *slow) Authenticate(ctx context.Context, c authentication.Credentials) authentication.Verdict {
	<-s.asked
	return s.stub.Authenticate(ctx, c)
}

// A listener may trust the connection that a phone registered over.
func TestRegisteredConnectionIsTrusted(t *testing.T) {
	book := &registered{}
	s := newStub(answering)
	s.bindings = book.of
	var removed atomic.Bool // his credential, from the directory
	s.verdict = func(c authentication.Credentials) (authentication.Verdict, bool) {
		if c.Proof == 7 && !removed.Load() {
			return authentication.Verdict{OK: true, User: authentication.Subscriber{Account: "acme", AoR: c.User}}, true
		}
		return authentication.Verdict{Reply: registration.Reply{Status: 401, Challenges: []string{"Digest a"}}}, true
	}
	book.add(&s.fake)
	r := startSoon(t, s, func(c *edge.Config) {
		for i := range c.Listeners {
			c.Listeners[i].TrustsFlows = c.Listeners[i].Transport != telephony.TLS
		}
	})
	for transport, want := range map[string]string{"tcp": "200", "udp": "200", "tls": "407"} {
		p, stranger := r.party(transport), r.party(transport)
		p.register("1001", "i")
		d := &dialogue{via: "TCP", callID: "trusted-" + transport, cseq: 1}
		p.say(d.request("INVITE", "1"))
		p.heard(want)
		d.callID += "-not"
		stranger.say(d.request("INVITE", "2"))
		stranger.heard("407")
		removed.Store(true)
		d.callID += "-any-more"
		p.say(d.request("INVITE", "3"))
		p.heard("407")
		removed.Store(false)
	}
	if req := s.events()[0].(*signal.Request); req.Account != "acme" || req.Way.Instance != "urn:i" || req.Way.Contact == "" {
		t.Errorf("%+v", req)
	}
}

// A request that is too large for a datagram goes over a stream of the same phone if it has one.
func TestLargeRequests(t *testing.T) {
	r, s, book := startKeeping(t)
	datagrams, stream, other := r.party("udp"), r.party("tcp"), r.party("tcp")
	datagrams.register("1002", "phone")
	aor := telephony.NewAoR("1002", "example.com")
	out := invitation(s.tx(), aor, "sip:x")
	out.ContentType, out.Body = "application/sdp", []byte(strings.Repeat("a=x\r\n", 600))
	out.Ways = []signal.Way{{Flow: book.of(aor)[0].Flow, AoR: aor, Instance: "urn:phone"}}
	r.Signalling().Send(out)
	if got := datagrams.next(); !strings.Contains(got, "SIP/2.0/UDP ") || len(got) < 3000 {
		t.Errorf("%d bytes:\n%s", len(got), got)
	}
	other.register("1002", "other")
	stream.register("1002", "phone")
	out.Tx = s.tx()
	r.Signalling().Send(out)
	if got := stream.next(); !strings.Contains(got, "SIP/2.0/TCP ") {
		t.Error(got)
	}
	r.Signalling().Cancel(out.Tx, "")
}

func TestCallsOverWebSockets(t *testing.T) {
	r, s := startCalls(t, answering)
	for _, scheme := range []string{"ws", "wss"} {
		c := r.web(scheme)
		d := &dialogue{via: strings.ToUpper(scheme), callID: "web-" + scheme, cseq: 1}
		hears := func(want string) {
			_, got, err := receive(t, c)
			if err == nil && status(got) == "100" { // the answer took its time
				_, got, err = receive(t, c)
			}
			if err != nil || status(got) != want {
				t.Fatalf("%s: want %s, got %s, %v", scheme, want, got, err)
			}
		}
		sendWeb(t, c, websocket.MessageText, d.request("INVITE", "1"))
		hears("180")
		hears("200")
		d.toTag = "to"
		sendWeb(t, c, websocket.MessageText, d.request("ACK", "2"))
		d.cseq = 2
		sendWeb(t, c, websocket.MessageText, d.request("BYE", "3"))
		hears("200")
	}
	for _, i := range []int{0, 3} {
		if req := s.events()[i].(*signal.Request); !req.Browser || req.Secure != (i == 3) {
			t.Errorf("%+v", req)
		}
	}
}

// The trace shows a call by its Call-ID, and under the AoR of the phone at this end of it.
func TestCallsAreTraced(t *testing.T) {
	recorder := trace.NewRecorder(1 << 20)
	s := newStub(answering)
	r := startSoon(t, s, func(c *edge.Config) { c.Trace = recorder })
	p := r.party("tcp")
	d := &dialogue{via: "TCP", callID: "traced", cseq: 1}
	p.say(d.request("INVITE", "1"))
	p.heard("200")
	d.toTag = "to"
	p.say(d.request("ACK", "2"))
	// A 100 is among them when the answer took its time.
	but100 := func(all []trace.Entry) (n int) {
		for _, m := range all {
			if !bytes.HasPrefix(m.Text, []byte("SIP/2.0 100")) {
				n++
			}
		}
		return n
	}
	eventually(t, "it is remembered", func() bool { return but100(recorder.Call("example.com", "traced", 0)) == 4 })
	if n := but100(recorder.Of(telephony.NewAoR("1001", "example.com"), 0)); n != 4 {
		t.Errorf("%d messages of the caller", n)
	}
	called := r.party("tcp")
	called.register("1002", "i")
	seen, _ := s.fake.seen()
	out := invitation(s.tx(), telephony.NewAoR("1002", "example.com"), "sip:x")
	out.Ways = []signal.Way{{Flow: seen[0].Flow, AoR: telephony.NewAoR("1002", "example.com")}}
	r.Signalling().Send(out)
	called.say(responseTo(called.next(), 486, "t", ""))
	called.next() // the ACK
	callID := out.Headers[2].Value
	eventually(t, "INVITE, 486 and ACK are remembered", func() bool { return len(recorder.Call("example.com", callID, 0)) == 3 })
	c := r.Counters()
	for _, m := range []edge.Message{{Listener: "tcp", Method: "INVITE", Status: 200}, {Listener: "tcp", Method: "ACK"}} {
		if c.Messages[m] != 1 {
			t.Errorf("%+v is counted %d times", m, c.Messages[m])
		}
	}
	if n := c.Sent[edge.Message{Listener: "tcp", Method: "INVITE", Status: 486}]; n != 1 {
		t.Errorf("%d sent", n)
	}
}
