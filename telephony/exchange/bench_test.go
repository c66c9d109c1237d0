package exchange_test

import (
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// line is the shortest way around an exchange: it answers every INVITE at once, and hangs up as soon as the call stands.
type line struct {
	x      *exchange.Exchange
	offer  []byte
	answer []byte
	hung   chan struct{}
	way    signal.Way
	caller signal.Way
	toTag  string
	target string
	n      int
}

func (l *line) Send(o signal.Outgoing) {
	switch o.Method {
	case "ACK":
		return
	case "BYE":
		l.x.Take(&signal.Response{Tx: o.Tx, Method: "BYE", Status: 200, Message: signal.Message{ToTag: "t"}})
		return
	}
	for _, status := range []int{180, 200} {
		r := &signal.Response{Tx: o.Tx, Method: o.Method, Status: status, Way: l.way, Message: signal.Message{ToTag: "t", CSeq: 1,
			Contact: "sip:b@192.0.2.2:5060", Headers: []telephony.Header{{Name: "Allow", Value: "INVITE, ACK, BYE"}}}}
		if status == 200 {
			r.ContentType, r.Body = "application/sdp", l.answer
		}
		l.x.Take(r)
	}
}

func (l *line) Cancel(signal.TxID, string) {}

func (l *line) Reply(r signal.Reply) {
	switch {
	case r.Status != 200:
	case len(r.Body) > 0:
		l.toTag, l.target = r.ToTag, strings.Trim(header(r.Headers, "Contact"), "<>")
		l.x.Take(&signal.Ack{Tx: r.Tx})
		l.x.Take(l.request(r.Tx+1, "BYE", l.target, 2))
	default:
		l.hung <- struct{}{}
	}
}

func (l *line) request(tx signal.TxID, method, uri string, seq uint32) *signal.Request {
	n := strconv.Itoa(l.n)
	r := &signal.Request{Tx: tx, Method: method, URI: uri, Hops: 70, Way: l.caller, Account: acme, User: alice,
		Message: signal.Message{CallID: "call" + n + "@192.0.2.1", From: "<sip:1001@acme.example>;tag=f" + n, To: "<sip:1002@acme.example>",
			FromTag: "f" + n, CSeq: seq, Contact: "sip:1001@192.0.2.1:5060"}}
	if method == "INVITE" {
		r.ContentType, r.Body = "application/sdp", l.offer
	} else {
		r.ToTag = l.toTag
	}
	return r
}

// BenchmarkCall is a call from INVITE to BYE through the exchange, with everything around it for nothing.
func BenchmarkCall(b *testing.B) {
	s := &site{contacts: map[telephony.AoR][]signal.Target{}, open: map[telephony.MediaID]telephony.MediaOpening{},
		agreed: map[telephony.MediaID]sdp.Agreed{}}
	flow := func(n uint64, addr string) telephony.Flow {
		return telephony.Flow{ID: n, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort(addr)}
	}
	l := &line{hung: make(chan struct{}, 1), way: signal.Way{Flow: flow(2, "192.0.2.2:5060"), AoR: bob},
		caller: signal.Way{Flow: flow(1, "192.0.2.1:5060"), AoR: alice}}
	caller := sdp.Side{Local: local(netip.MustParseAddr("192.0.2.1"), 4000), Session: 1}
	l.offer, _, _ = caller.Offer(sdp.Offering{Security: sdp.Plain, Codecs: sdp.Passed()})
	offer, _ := sdp.Parse(l.offer)
	callee := sdp.Side{Local: local(netip.MustParseAddr("192.0.2.2"), 4100), Session: 1}
	l.answer, _, _ = callee.Answer(sdp.Terms{}, offer, sdp.Wanted{})
	s.contacts[bob] = []signal.Target{{URI: "sip:b@192.0.2.2:5060", Q: 1000, Ways: []signal.Way{l.way}}}
	l.x = exchange.New(exchange.Config{Node: "n1", Key: []byte("a key for tests only, 32 bytes.."), Workers: 1,
		Host: func(telephony.Flow) (string, bool) { return "192.0.2.100:5060", true }, Logger: slog.New(slog.DiscardHandler),
		Ports: exchange.Ports{Signalling: l, Media: s, Paths: quiet{}, Contacts: s, History: forgets{}}})
	l.x.Start(b.Context())
	defer func() { _ = l.x.Stop(b.Context()) }()
	b.ReportAllocs()
	tx := signal.TxID(0)
	for b.Loop() {
		tx += 2
		l.n++
		if !l.x.Take(l.request(tx, "INVITE", "sip:1002@acme.example", 1)) {
			b.Fatal("not taken")
		}
		<-l.hung
	}
	b.StopTimer()
	if c := l.x.Counters(); c.Answered < uint64(b.N) {
		b.Fatalf("%d of %d calls were answered", c.Answered, b.N)
	}
}
