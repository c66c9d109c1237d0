package edge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
)

// onAll are listeners on all addresses, and hosts by which they can be reached here. The first of them is not the one that the system
// would answer from.
var onAll = map[string][]string{"0.0.0.0:0": {"127.0.0.2", "127.0.0.1"}, "[::]:0": {"127.0.0.2", "::1"}}

// at connects to a UDP listener at one of its addresses, and hears nothing from another one.
func (r *running) at(host string) *party {
	r.t.Helper()
	nc, err := net.Dial("udp", net.JoinHostPort(host, fmt.Sprint(r.Addr("udp").Port())))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return newParty(r.t, nc)
}

func udpAt(address string) []edge.Listener {
	return []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: address}}
}

// eachAddress runs a test at every address of listeners on all addresses, with an exchange that accepts what comes and a registrar that
// asks for digest and answers later.
func eachAddress(t *testing.T, test func(r *running, s *stub, p *party, host string)) {
	for address, hosts := range onAll {
		for _, host := range hosts {
			t.Run(address+" at "+host, func(t *testing.T) {
				s := newStub(answering)
				s.decide = func(req *registration.Request, reply func(registration.Reply)) {
					if len(req.Authorize) == 0 {
						reply(registration.Reply{Status: 401, Challenges: []string{`Digest realm="x"`}})
						return
					}
					go accept(req, reply)
				}
				r := startSoon(t, s, func(c *edge.Config) { c.Listeners = udpAt(address) })
				test(r, s, r.at(host), host)
			})
		}
	}
}

// register registers with an answer to a challenge, and returns the flow.
func (p *party) registerUDP(s *stub) telephony.Flow {
	p.t.Helper()
	p.say(message("REGISTER", "UDP", "1001", "Contact: <sip:1001@a>", "Authorization: Digest x"))
	p.heard("200")
	seen, _ := s.fake.seen()
	return seen[len(seen)-1].Flow
}

// Whatever answers a datagram leaves from the address that it came to (RFC 3261 §18.2.2, RFC 3581 §4).
func TestAnswersLeaveFromTheAddressThatWasAsked(t *testing.T) {
	eachAddress(t, func(r *running, s *stub, p *party, host string) {
		for _, c := range []struct{ say, want string }{
			{message("REGISTER", "UDP", "1001", "Contact: <sip:1001@a>"), "401"},
			{message("REGISTER", "UDP", "1001", "Contact: <sip:1001@a>", "Authorization: Digest x"), "200"},
			{message("REGISTER", "UDP", "1001", "Contact: <sip:1001@a>", "Authorization: Digest x"), "200"}, // again
			{message("OPTIONS", "UDP", "1001"), "200"},
			{message("PUBLISH", "UDP", "1001"), "405"},
			{message("UNHEARDOF", "UDP", "1001"), "501"},
			{strings.Replace(message("OPTIONS", "UDP", "1001"), "CSeq: 1 ", "CSeq: x ", 1), "400"},
		} {
			p.say(c.say)
			if got := status(p.next()); got != c.want {
				t.Errorf("%.9s got %s, want %s", c.say, got, c.want)
			}
		}
		if got := asksSTUN(t, p, unhex(binding), time.Minute); len(got) == 0 || got[0] != 1 {
			t.Errorf("STUN got %x", got)
		}
		seen, _ := s.fake.seen()
		if got := seen[0].Flow.Local.String(); got != host {
			t.Errorf("the flow leads to %s, want %s", got, host)
		}
	})
}

// A call of a phone, and one to it, take place between the two addresses that it registered over; so does what keeps it reachable.
func TestRequestsLeaveFromTheAddressOfTheFlow(t *testing.T) {
	eachAddress(t, func(r *running, s *stub, p *party, host string) {
		flow := p.registerUDP(s)
		d := &dialogue{via: "UDP", callID: "in", cseq: 1}
		p.say(d.request("INVITE", "1"))
		p.heard("200")
		d.toTag = "to"
		p.say(d.request("ACK", "2"))
		d.cseq++
		p.say(d.request("BYE", "3"))
		p.heard("200")

		flow.ID = 0 // as after a restart: numbers are forgotten
		out := invitation(s.tx(), telephony.NewAoR("1001", "example.com"), "sip:1001@a")
		out.Ways = []signal.Way{{Flow: flow}}
		r.Signalling().Send(out)
		invite := p.next()
		p.say(responseTo(invite, 486, "t", ""))
		if ack := p.next(); !strings.HasPrefix(ack, "ACK ") {
			t.Errorf("instead of the ACK came %s", ack)
		}
		reached := make(chan error, 1)
		go func() {
			response, err := r.Send(t.Context(), flow, options())
			if err == nil && response.Status != 200 {
				err = fmt.Errorf("status %d", response.Status)
			}
			reached <- err
		}()
		p.say(responseTo(p.next(), 200, "t", ""))
		if err := <-reached; err != nil {
			t.Error(err)
		}
		if got := r.ContactURI(flow); !strings.Contains(got, netip.AddrPortFrom(netip.MustParseAddr(host), r.Addr("udp").Port()).String()) {
			t.Errorf("in dialogs we are called %s", got)
		}
	})
}

// A flow of which nobody noted to which of our addresses it leads is taken to be the one that the way to the phone leads from, and its
// answers count.
func TestFlowWithoutOurAddress(t *testing.T) {
	for address, host := range map[string]string{"0.0.0.0:0": "127.0.0.1", "[::]:0": "::1"} {
		r := startWith(t, &fake{}, edge.Limits{}, nil, udpAt(address)...)
		p := r.at(host)
		reached := make(chan error, 1)
		go func() {
			_, err := r.Send(t.Context(), telephony.Flow{Listener: "udp", Transport: telephony.UDP, Remote: local(p)}, options())
			reached <- err
		}()
		p.say(responseTo(p.next(), 200, "t", ""))
		if err := <-reached; err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// After a restart the keep-alives of a phone are answered as before, at the address that it registered at.
func TestFlowIsResumedAtItsAddress(t *testing.T) {
	r := startWith(t, &fake{}, edge.Limits{}, nil, udpAt("0.0.0.0:0")...)
	there, elsewhere := r.at("127.0.0.2"), r.at("127.0.0.3")
	for _, p := range []*party{there, elsewhere} {
		r.Resume(telephony.Flow{Listener: "udp", Transport: telephony.UDP, Remote: local(p), Local: netip.MustParseAddr("127.0.0.2")})
	}
	if got := asksSTUN(t, there, unhex(binding), time.Minute); len(got) == 0 {
		t.Error("the keep-alive was not answered")
	}
	if got := asksSTUN(t, elsewhere, unhex(binding), silence); len(got) > 0 {
		t.Error("a stranger at another address of ours got more than it sent")
	}
}

// A NAT may give one port to two phones that write to different addresses of ours: they are two.
func TestTwoPhonesBehindOnePort(t *testing.T) {
	h := &fake{}
	r := startWith(t, h, edge.Limits{}, nil, udpAt("0.0.0.0:0")...)
	nat, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nat.Close() }()
	_ = nat.SetDeadline(time.Now().Add(20 * time.Second))
	for i, host := range []string{"127.0.0.2", "127.0.0.3"} {
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), r.Addr("udp").Port()))
		if _, err := nat.WriteTo([]byte(message("REGISTER", "UDP", fmt.Sprint(i), "Contact: <sip:1@a>")), to); err != nil {
			t.Fatal(err)
		}
		if _, from, err := nat.ReadFrom(make([]byte, 4096)); err != nil || from.String() != to.String() {
			t.Errorf("who asked %s is answered by %v, %v", to, from, err)
		}
	}
	seen, _ := h.seen()
	if seen[0].Flow.Same(seen[1].Flow) || seen[0].Flow.ID == seen[1].Flow.ID || r.Counters().UDPFlows["udp"] != 2 {
		t.Errorf("%+v and %+v are taken for one", seen[0].Flow, seen[1].Flow)
	}
}

// When our address has gone, as it does when the other one of a pair of hosts takes over, that is counted and told, and a phone is tried
// on its next way at once; while nothing else is known, it is not even asked over the first.
func TestOurAddressHasGone(t *testing.T) {
	book := &registered{}
	s := newStub(func(*edge.Signalling, signal.Event) {})
	s.bindings = book.of
	book.add(&s.fake)
	r := startSoon(t, s, func(c *edge.Config) {
		c.Listeners = udpAt("0.0.0.0:0")
		c.Timers = sip.Timers{} // so that no timer helps
	})
	p := r.at("127.0.0.1")
	p.say(message("REGISTER", "UDP", "1002", "Contact: <sip:1002@a>"))
	p.heard("200")
	seen, _ := s.fake.seen()
	here := signal.Way{Flow: seen[0].Flow, AoR: telephony.NewAoR("1002", "example.com")}
	gone := here
	gone.Flow.Local = netip.MustParseAddr("192.0.2.7")
	for range 2 {
		out := invitation(s.tx(), here.AoR, "sip:1002@a")
		out.Ways = []signal.Way{gone, here}
		r.Signalling().Send(out)
		invite := p.next()
		p.say(responseTo(invite, 486, "t", ""))
		if ack := p.next(); !strings.HasPrefix(ack, "ACK ") {
			t.Errorf("instead of the ACK came %s", ack)
		}
	}
	rejects := r.Counters().Rejects
	if rejects[edge.Reject{Listener: "udp", Reason: "write"}] != 1 || rejects[edge.Reject{Listener: "udp", Reason: "address_gone"}] != 1 {
		t.Errorf("counted %v", rejects)
	}
	out := invitation(s.tx(), telephony.AoR{}, "sip:1002@a")
	out.Ways = []signal.Way{gone}
	r.Signalling().Send(out)
	eventually(t, "it is given up", func() bool { return s.names() == "486 486 503" })
	if res := s.events()[2].(*signal.Response); !strings.Contains(res.Reason, "our address") {
		t.Errorf("history says %q", res.Reason)
	}
	other := gone.Flow
	other.Local = netip.MustParseAddr("192.0.2.8")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := r.Send(ctx, other, options()); !errors.Is(err, edge.ErrFlowGone) {
		t.Errorf("a request by another one is told %v", err)
	}
	r.stop()
	if logs := r.logs.String(); !strings.Contains(logs, "could not be sent") || !strings.Contains(logs, "from=192.0.2.7") {
		t.Errorf("operators read %s", logs)
	}
}
