package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/events"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/trace"
)

// broken is a handler of everything that panics where it is told to.
type broken struct {
	fake
	at string // Subscribe or FlowClosed
}

func (b *broken) Subscribe(_ context.Context, req *events.Request, reply func(events.Reply)) {
	if b.at == "Subscribe" && req.User.User == "1" {
		panic("secret-canary")
	}
	reply(events.Reply{Status: 200, Expires: 300})
}

func (b *broken) FlowClosed(f telephony.Flow) {
	b.fake.FlowClosed(f)
	if b.at == "FlowClosed" {
		panic("secret-canary")
	}
}

// registerBroken panics for the user 1.
func registerBroken(req *registration.Request, reply func(registration.Reply)) {
	if req.To.User == "1" {
		panic("secret-canary")
	}
	accept(req, reply)
}

// roundTrip sends messages one after the other over one connection and returns the statuses of their answers.
func roundTrip(t *testing.T, nc net.Conn, messages ...string) string {
	t.Helper()
	var all []string
	for _, m := range messages {
		_, _ = io.WriteString(nc, m)
		all = append(all, status(answers(t, nc, 1)[0]))
	}
	return strings.Join(all, " ")
}

func subscribeOf(user, transport string) string {
	return message("SUBSCRIBE", transport, user, "Event: dialog", "Contact: <sip:"+user+"@192.0.2.1>")
}

func registerOf(user, transport string) string {
	return message("REGISTER", transport, user, "Contact: <sip:1@a>")
}

// closed reads until the peer closes, and reports what came before that.
func closed(nc net.Conn) string {
	defer func() { _ = nc.Close() }()
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "open "
	}
	return string(b) + "closed "
}

// A panic while one message is served costs that message: it gets a 500 where that is safe, the same connection or
// socket serves the next, and the panic is counted.
func TestPanicEndsOneTransaction(t *testing.T) {
	for _, c := range []struct {
		name, at string // what panics: a method of the handler, or a point of the edge's own work
		register func(*registration.Request, func(registration.Reply))
		play     func(t *testing.T, r *running, transport string) string
		want     string
		over     []string
	}{
		{name: "REGISTER", register: registerBroken, want: "500 200", over: []string{"udp", "tcp", "tls"},
			play: func(t *testing.T, r *running, transport string) string {
				return roundTrip(t, r.dial(transport), registerOf("1", transport), registerOf("2", transport))
			}},
		{name: "SUBSCRIBE", at: "Subscribe", want: "500 200", over: []string{"udp", "tcp", "tls"},
			play: func(t *testing.T, r *running, transport string) string {
				return roundTrip(t, r.dial(transport), subscribeOf("1", transport), subscribeOf("2", transport))
			}},
		{name: "a response", at: "response", want: "200", over: []string{"udp", "tcp", "tls"},
			play: func(t *testing.T, r *running, transport string) string {
				nc := r.dial(transport)
				_, _ = io.WriteString(nc, "SIP/2.0 200 OK\r\n"+strings.SplitN(message("OPTIONS", transport, "1"), "\r\n", 2)[1])
				return roundTrip(t, nc, message("OPTIONS", transport, "1"))
			}},
		{name: "STUN", at: "STUN", want: "200 200 STUN", over: []string{"udp"},
			play: func(t *testing.T, r *running, transport string) string {
				nc := r.dial(transport)
				got := roundTrip(t, nc, registerOf("1", transport)) + " "
				_, _ = nc.Write(unhex(binding))
				got += roundTrip(t, nc, message("OPTIONS", transport, "1"))
				_, _ = nc.Write(unhex(binding))
				if n, err := nc.Read(make([]byte, 100)); err == nil && n == 32 {
					got += " STUN"
				}
				return got
			}},
		{name: "a WebSocket's REGISTER", register: registerBroken, want: "500 200", over: []string{"ws", "wss"},
			play: func(t *testing.T, r *running, transport string) (all string) {
				ws := r.web(transport)
				for _, user := range []string{"1", "2"} {
					sendWeb(t, ws, websocket.MessageText, registerOf(user, "WSS"))
					_, answer, err := receive(t, ws)
					if err != nil {
						t.Fatal(err)
					}
					all += " " + status(answer)
				}
				return strings.TrimSpace(all)
			}},
		// What is not one message's ends its connection, and the listener serves the next.
		{name: "FlowClosed", at: "FlowClosed", want: "200 200", over: []string{"tcp", "tls"},
			play: func(t *testing.T, r *running, transport string) string {
				first, second := r.dial(transport), r.dial(transport)
				got := roundTrip(t, first, registerOf("1", transport))
				_ = first.Close()
				eventually(t, "the panic", func() bool { return r.Counters().Panics == 1 })
				got += " " + roundTrip(t, second, message("OPTIONS", transport, "2"))
				return got
			}},
		{name: "handshake", at: "handshake", want: "closed 200", over: []string{"tls", "tcp"},
			play: func(t *testing.T, r *running, transport string) string {
				got := "closed "
				if nc, err := r.connect(transport); err == nil { // of TLS the client's handshake fails
					got = closed(nc)
				}
				return got + roundTrip(t, r.dial(transport), message("OPTIONS", transport, "2"))
			}},
		{name: "WebSocket upgrade", at: "upgrade", want: "closed 200", over: []string{"ws"},
			play: func(t *testing.T, r *running, transport string) string {
				nc, err := net.Dial("tcp", r.Addr(transport).String())
				if err != nil {
					t.Fatal(err)
				}
				got := closed(nc)
				ws := r.web(transport)
				sendWeb(t, ws, websocket.MessageText, message("OPTIONS", "WS", "2"))
				_, answer, _ := receive(t, ws)
				return got + status(answer)
			}},
		{name: "write", at: "write", want: "closed 200", over: []string{"tcp", "tls"},
			play: func(t *testing.T, r *running, transport string) string {
				nc := r.dial(transport)
				_, _ = io.WriteString(nc, message("OPTIONS", transport, "1"))
				return closed(nc) + roundTrip(t, r.dial(transport), message("OPTIONS", transport, "2"))
			}},
	} {
		for _, transport := range c.over {
			t.Run(c.name+" over "+transport, func(t *testing.T) {
				r := start(t, &broken{fake: fake{decide: c.register}, at: c.at}, edge.Limits{})
				r.FailAt(c.at)
				if got := c.play(t, r, transport); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				r.stop()
				if n := r.Counters().Panics; n != 1 && !(c.at == "FlowClosed" && n > 1) {
					t.Errorf("%d panics counted", n)
				}
				if logs := r.logs.String(); strings.Contains(logs, "secret-canary") || !strings.Contains(logs, "panic") {
					t.Error(logs)
				}
			})
		}
	}
}

// tracer panics at every message.
type tracer struct{}

func (tracer) Record(trace.Message) { panic("secret-canary") }

// The trace only watches: when it is broken, messages are served as if there were none.
func TestPanicOfTheTraceCostsNothing(t *testing.T) {
	e, err := edge.New(edge.Config{Trace: tracer{}, Log: slog.New(slog.DiscardHandler), Listeners: []edge.Listener{
		{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"},
		{Name: "tcp", Transport: telephony.TCP, Address: "127.0.0.1:0"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	h := &broken{}
	go func() { done <- e.Serve(ctx, h) }()
	r := &running{Edge: e, t: t}
	for _, transport := range []string{"udp", "tcp"} {
		got := roundTrip(t, r.dial(transport), registerOf("1", transport), message("OPTIONS", transport, "1"),
			subscribeOf("1", transport), message("INVITE", transport, "1"))
		if got != "200 200 200 405" {
			t.Errorf("%s: %s", transport, got)
		}
		phone, flow := phoneOn(t, r, &h.fake, telephony.Transport(transport), nil)
		if response, err := e.Send(t.Context(), flow, options()); err != nil || response.Status != 200 {
			t.Errorf("%s: our own request: %+v, %v", transport, response, err)
		}
		_ = phone.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := e.Counters().Panics; n < 20 {
		t.Errorf("%d panics counted", n)
	}
}

// The same for calls: who takes them breaks over one INVITE, or over the question who sent it.
func TestPanicOfACallEndsOneTransaction(t *testing.T) {
	for _, at := range []string{"Take", "Authenticate"} {
		for _, transport := range []string{"udp", "tcp"} {
			s := newStub(func(signalling *edge.Signalling, ev signal.Event) {
				if req, ok := ev.(*signal.Request); ok {
					signalling.Reply(signal.Reply{Tx: req.Tx, Status: 486})
				}
			})
			var broke atomic.Bool
			fail := func() {
				if !broke.Swap(true) {
					panic("secret-canary")
				}
			}
			s.take = func(signal.Event) bool {
				if at == "Take" {
					fail()
				}
				return true
			}
			s.verdict = func(c authentication.Credentials) (authentication.Verdict, bool) {
				if at == "Authenticate" && !broke.Load() {
					fail()
				}
				return authentication.Verdict{OK: true, User: authentication.Subscriber{AoR: c.User}}, true
			}
			r := start(t, s, edge.Limits{})
			s.run(t, r)
			nc := r.party(transport)
			for i, want := range []string{"500", "486"} {
				d := &dialogue{via: strings.ToUpper(transport), callID: fmt.Sprint("call", i), cseq: 1}
				nc.say(d.request("INVITE", fmt.Sprint("b", i)))
				got := status(nc.next())
				for got == "100" {
					got = status(nc.next())
				}
				if got != want {
					t.Errorf("%s over %s: %s, want %s", at, transport, got, want)
				}
				nc.say(d.request("ACK", fmt.Sprint("b", i)))
			}
			if n := r.Counters().Panics; n != 1 {
				t.Errorf("%s over %s: %d panics counted", at, transport, n)
			}
		}
	}
}
