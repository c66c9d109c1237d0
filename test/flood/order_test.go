package flood_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// pairs is how often a caller rings and hangs up in the same breath.
const pairs = 100_000

// INVITE and CANCEL back to back: whoever takes calls hears of each call before its end, whether its sender is known from
// memory or has to be asked for, and every caller gets its 200 and its 487.
func TestCancelComesAfterItsInvite(t *testing.T) {
	for _, c := range []struct {
		name, network              string
		calls, connections, window int
	}{
		{"TCP, one connection", "tcp", pairs, 1, 256},
		{"TCP, eight connections", "tcp", pairs / 5, 8, 64},
		{"UDP, one socket", "udp", pairs, 1, 16}, // few at a time: the kernel drops datagrams that nobody reads in time
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newExchange()
			address := x.serve(t, c.network)
			began := time.Now()
			var callers sync.WaitGroup
			for i := range c.connections {
				callers.Go(func() { ring(t, c.network, address, i, c.calls/c.connections, c.window) })
			}
			callers.Wait()
			t.Logf("%d calls begun and cancelled in %v", c.calls, time.Since(began).Round(time.Millisecond))
			if got := x.cancelled.Load(); got != int64(c.calls) {
				t.Errorf("%d calls were cancelled", got)
			}
			if n := x.early.Load(); n > 0 {
				t.Errorf("%d CANCELs came before their INVITE", n)
			}
		})
	}
}

// exchange takes calls: it notes which have begun, and refuses those that are cancelled.
type exchange struct {
	edge             *edge.Edge
	mu               sync.Mutex
	begun            map[signal.TxID]bool
	cancelled, early atomic.Int64
	asked            atomic.Int64
}

func newExchange() *exchange { return &exchange{begun: make(map[signal.TxID]bool)} }

// serve opens an edge with one listener until the test ends.
func (x *exchange) serve(t *testing.T, network string) string {
	t.Helper()
	e, err := edge.New(edge.Config{Log: slog.New(slog.DiscardHandler), Listeners: []edge.Listener{
		{Name: network, Transport: telephony.Transport(network), Address: "127.0.0.1:0"},
	}})
	if err == nil {
		err = e.Listen(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	x.edge = e
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(ctx, x) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e.Addr(network).String()
}

func (x *exchange) Register(_ context.Context, _ *registrar.Request, reply func(registrar.Reply)) {
	reply(registrar.Reply{Status: 403})
}
func (x *exchange) FlowClosed(registrar.Flow)                  {}
func (x *exchange) Bindings(telephony.AoR) []registrar.Binding { return nil }

func (x *exchange) Binding(telephony.AoR, func(*registrar.Binding) bool) (registrar.Binding, bool) {
	return registrar.Binding{}, false
}

func (x *exchange) Authenticate(_ context.Context, c registrar.Credentials) registrar.Verdict {
	return registrar.Verdict{
		OK: true, User: registrar.Subscriber{Account: "acc", AoR: c.User}, Reply: registrar.Reply{Sender: registrar.Proven},
	}
}

// AuthenticateAtOnce does not know one sender in seven.
func (x *exchange) AuthenticateAtOnce(c registrar.Credentials) (registrar.Verdict, bool) {
	return x.Authenticate(context.Background(), c), x.asked.Add(1)%7 != 0
}

// Take must not call back, so that the answer to a cancelled call is another goroutine's.
func (x *exchange) Take(ev signal.Event) bool {
	switch ev := ev.(type) {
	case *signal.Request:
		x.mu.Lock()
		x.begun[ev.Tx] = true
		x.mu.Unlock()
	case *signal.Cancel:
		x.mu.Lock()
		if !x.begun[ev.Tx] {
			x.early.Add(1)
		}
		delete(x.begun, ev.Tx)
		x.mu.Unlock()
		x.cancelled.Add(1)
		go x.edge.Signalling().Reply(signal.Reply{Tx: ev.Tx, Status: 487})
	}
	return true
}

// ring begins and cancels calls over one connection, so many at a time, and waits until each got 200 and 487.
func ring(t *testing.T, network, address string, caller, calls, window int) {
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Minute))
	places := make(chan struct{}, window)
	var reading sync.WaitGroup
	reading.Go(func() { hear(t, nc, calls, func() { <-places }) })
	defer reading.Wait()
	for i := range calls {
		places <- struct{}{}
		invite, cancel := message("INVITE", caller, i), message("CANCEL", caller, i)
		if network == "udp" {
			_, err = nc.Write(invite)
			if err == nil {
				_, err = nc.Write(cancel)
			}
		} else {
			_, err = nc.Write(append(invite, cancel...))
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func message(method string, caller, call int) []byte {
	return fmt.Appendf(nil, "%[1]s sip:1002@%[2]s SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK%[3]dx%[4]d;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:1001@%[2]s>;tag=f\r\nTo: <sip:1002@%[2]s>\r\nCall-ID: %[3]dx%[4]d\r\nCSeq: 1 %[1]s\r\n"+
		"Contact: <sip:1001@192.0.2.1>\r\nContent-Length: 0\r\n\r\n", method, domain, caller, call)
}

// hear reads responses until every call got its 200 to CANCEL and its 487 to INVITE, and acknowledges those.
func hear(t *testing.T, nc net.Conn, calls int, done func()) {
	framer := wire.NewFramer(wire.Limits{})
	var m wire.Message
	buf := make([]byte, 64<<10)
	refused, cancels := 0, 0
	for refused < calls || cancels < calls {
		event, err := framer.Next(&m)
		if err != nil {
			t.Error(err)
			return
		}
		if event == wire.More {
			n, err := nc.Read(buf)
			if err != nil {
				t.Errorf("after %d refused and %d cancels: %v", refused, cancels, err)
				return
			}
			for rest := buf[:n]; len(rest) > 0; {
				n := copy(framer.Space(), rest)
				framer.Fill(n)
				rest = rest[n:]
			}
			continue
		}
		switch said := string(m.CSeqMethod) + " " + strconv.Itoa(m.Status); said {
		case "INVITE 100":
		case "CANCEL 200":
			cancels++
		case "INVITE 487":
			refused++
			if _, err := nc.Write(acknowledge(&m)); err != nil {
				t.Error(err)
				return
			}
			done()
		default:
			t.Errorf("%s", said)
			return
		}
	}
}

// acknowledge renders the ACK to a final response that is no 2xx (RFC 3261 §17.1.1.3).
func acknowledge(m *wire.Message) []byte {
	via, _, _ := bytes.Cut(m.Vias[0], []byte(";rport"))
	return fmt.Appendf(nil, "ACK sip:1002@%s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n"+
		"CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", domain, via, m.From, m.To, m.CallID)
}
