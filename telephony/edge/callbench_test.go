package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"testing"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/trace"
)

// through is an exchange that lets calls through, in place: it says what the real one says, and decides nothing.
type through struct {
	fake
	signalling *edge.Signalling
	callee     signal.Way
	n          uint64
	invite     signal.TxID // that came
	sent       signal.TxID // that left
	tag        string      // of the callee
	ended      int
}

func (x *through) Authenticate(_ context.Context, c authentication.Credentials) authentication.Verdict {
	v, _ := x.AuthenticateAtOnce(c)
	return v
}

func (x *through) AuthenticateAtOnce(c authentication.Credentials) (authentication.Verdict, bool) {
	return authentication.Verdict{OK: true, User: authentication.Subscriber{Account: "acme", AoR: c.User}, Reply: registration.Reply{Sender: registration.Proven}}, true
}

func (x *through) Bindings(telephony.AoR) []registration.Binding { return nil }

func (x *through) Standing(telephony.AoR, telephony.Flow) (registration.Binding, bool) {
	return registration.Binding{}, false
}

func (x *through) Take(ev signal.Event) bool {
	switch ev := ev.(type) {
	case *signal.Request:
		if ev.Method == "INVITE" {
			x.invite = ev.Tx
			x.sent = x.send("INVITE", ev.Body)
			break
		}
		x.signalling.Reply(signal.Reply{Tx: ev.Tx, Status: 200, ToTag: "ours"})
		x.send(ev.Method, nil)
	case *signal.Response:
		x.tag = ev.ToTag
		switch {
		case ev.Method != "INVITE":
			x.ended++
		default:
			x.signalling.Reply(signal.Reply{Tx: x.invite, Status: ev.Status, ToTag: "ours", ContentType: ev.ContentType, Body: ev.Body,
				Headers: []telephony.Header{{Name: "Contact", Value: "<sip:a-token-of-ours@192.0.2.9:5060;transport=udp>"},
					{Name: "Allow", Value: "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO, REFER, NOTIFY"}, {Name: "Supported", Value: "100rel, replaces, timer"}}})
		}
	case *signal.Ack:
		x.send("ACK", nil)
	}
	return true
}

// send sends a request of a call to the callee.
func (x *through) send(method string, body []byte) signal.TxID {
	x.n++
	out := signal.Outgoing{Tx: signal.TxID(1<<63 | x.n), Method: method, URI: "sip:1002@127.0.0.1:2222", Body: body, Ways: []signal.Way{x.callee}}
	to := "<sip:1002@example.com>"
	if method != "INVITE" {
		to += ";tag=" + x.tag
	}
	out.Headers = append(out.Headers,
		telephony.Header{Name: "From", Value: "<sip:1001@example.com>;tag=ours"}, telephony.Header{Name: "To", Value: to},
		telephony.Header{Name: "Call-ID", Value: "call-" + strconv.FormatUint(x.n, 10)}, telephony.Header{Name: "CSeq", Value: "1 " + method})
	switch method {
	case "ACK":
		out.Tx = x.sent
	case "INVITE":
		out.ContentType = "application/sdp"
		out.Headers = append(out.Headers, telephony.Header{Name: "Contact", Value: "<sip:a-token-of-ours@192.0.2.9:5060;transport=udp>"},
			telephony.Header{Name: "Allow", Value: "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE, INFO, REFER, NOTIFY"},
			telephony.Header{Name: "Supported", Value: "100rel, replaces, timer"}, telephony.Header{Name: "Session-Expires", Value: "1800"},
			telephony.Header{Name: "Min-SE", Value: "90"})
	}
	x.signalling.Send(out)
	return out.Tx
}

// phones are the far ends of a call: the caller's messages, and what the callee answers.
type phones struct {
	callee netip.AddrPort
	asked  []byte // what the callee got last
	buffer []byte
}

func (p *phones) got(b []byte, to netip.AddrPort) {
	if to == p.callee {
		p.asked = append(p.asked[:0], b...)
	}
}

const benchSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"

// request is the caller's.
func (p *phones) request(method string, n int, tag, body string) []byte {
	b := fmt.Appendf(p.buffer[:0], "%s sip:1002@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1111;rport;branch=z9hG4bK%s-%d\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:1001@example.com>;tag=from%d\r\nTo: <sip:1002@example.com>%s\r\nCall-ID: call-%d@127.0.0.1\r\n"+
		"CSeq: 1 %s\r\nContact: <sip:1001@127.0.0.1:1111>\r\nUser-Agent: a phone 1.0\r\nAllow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n"+
		"Supported: replaces\r\n", method, method, n, n, tag, n, method)
	return finish(b, body)
}

func finish(b []byte, body string) []byte {
	if body != "" {
		b = append(b, "Content-Type: application/sdp\r\n"...)
	}
	return fmt.Appendf(b, "Content-Length: %d\r\n\r\n%s", len(body), body)
}

// answer is the callee's to what it got.
func (p *phones) answer(status, body string) []byte {
	b := append(append(append(p.buffer[:0], "SIP/2.0 "...), status...), "\r\n"...)
	for line := range bytes.Lines(p.asked) {
		switch {
		case bytes.HasPrefix(line, []byte("Via:")), bytes.HasPrefix(line, []byte("From:")), bytes.HasPrefix(line, []byte("Call-ID:")),
			bytes.HasPrefix(line, []byte("CSeq:")):
			b = append(b, line...)
		case bytes.HasPrefix(line, []byte("To:")):
			b = append(b, bytes.TrimRight(line, "\r\n")...)
			if !bytes.Contains(line, []byte(";tag=")) {
				b = append(b, ";tag=callee"...)
			}
			b = append(b, "\r\n"...)
		}
	}
	b = append(b, "Contact: <sip:1002@127.0.0.1:2222>\r\nAllow: INVITE, ACK, BYE, CANCEL, UPDATE\r\nSupported: replaces\r\n"...)
	return finish(b, body)
}

// Where the two phones of a call are.
var callerAt, calleeAt = netip.MustParseAddrPort("127.0.0.1:1111"), netip.MustParseAddrPort("127.0.0.1:2222")

// fed is an edge over UDP that two phones are registered at, and whose messages a test feeds. The way is the callee's.
func fed(tb testing.TB, traced *trace.Recorder, timers sip.Timers) (*edge.Edge, signal.Way) {
	tb.Helper()
	e, err := edge.New(edge.Config{Trace: traced, Timers: timers, Listeners: []edge.Listener{
		{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0", TrustsFlows: true}}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := e.Listen(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { edge.StopCalls(e) })
	var way signal.Way
	for i, at := range []netip.AddrPort{callerAt, calleeAt} {
		way.Flow = telephony.Flow{ID: uint64(i + 1), Listener: "udp", Transport: telephony.UDP, Remote: at}
		e.Resume(way.Flow)
	}
	return e, way
}

// BenchmarkCall is a call from INVITE to BYE through the edge, both ends, with its trace: what stands between the system and the exchange.
func BenchmarkCall(b *testing.B) {
	e, callee := fed(b, trace.NewRecorder(32<<20), sip.Timers{})
	callee.AoR = telephony.NewAoR("1002", "example.com")
	p := &phones{callee: calleeAt, buffer: make([]byte, 0, 4096)}
	x := &through{signalling: e.Signalling(), callee: callee}
	feed := edge.FeedCalls(e, x, p.got)
	one := make([][]byte, 1)
	hand := func(message []byte, from netip.AddrPort) {
		one[0] = message
		feed(one, from)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		hand(p.request("INVITE", n, "", benchSDP), callerAt)
		hand(p.answer("180 Ringing", ""), calleeAt)
		hand(p.answer("200 OK", benchSDP), calleeAt)
		hand(p.request("ACK", n, ";tag=ours", ""), callerAt)
		hand(p.request("BYE", n, ";tag=ours", ""), callerAt)
		hand(p.answer("200 OK", ""), calleeAt)
	}
	b.StopTimer()
	if x.ended < b.N {
		b.Fatalf("%d of %d calls ended", x.ended, b.N)
	}
}
