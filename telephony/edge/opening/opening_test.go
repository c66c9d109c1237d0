package opening_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge/opening"
	"demarc/telephony/signal"
	"demarc/telephony/sip/transaction"
)

// edge stands for the edge: it opens ways to all proxies but the dead one, once the gate is open.
type edge struct {
	*opening.Openers
	gate   chan struct{}
	opened chan string // hosts of ways that were asked for
	sent   chan *signal.Outgoing
	failed chan transaction.Failure
	counts chan string
	faults chan any
	gone   chan signal.TxID // cancelled after it was sent
}

var errDead = errors.New("nobody answers")

// proxy is a way through a proxy of this network: 1 is alive, 2 is dead, 3 makes the program fail.
func proxy(host byte) signal.Way {
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 5060)
	return signal.Way{Path: "<sip:p;lr>", Flow: telephony.Flow{Listener: "tls", Transport: telephony.TLS, Remote: at}}
}

// openFlow is the number of a flow that was opened.
const openFlow = 7

func newEdge(t *testing.T, open bool) *edge {
	const room = 1000
	e := &edge{gate: make(chan struct{}), opened: make(chan string, room), sent: make(chan *signal.Outgoing, room),
		failed: make(chan transaction.Failure, room), counts: make(chan string, room), faults: make(chan any, room), gone: make(chan signal.TxID, room)}
	if open {
		close(e.gate)
	}
	e.Openers = opening.New(opening.Config{
		Closed: func(way signal.Way) bool { return way.Flow.ID != openFlow },
		Open: func(ctx context.Context, way signal.Way) (telephony.Flow, error) {
			host := way.Flow.Remote.Addr().As4()[3]
			e.opened <- way.Flow.Remote.Addr().String()
			select {
			case <-e.gate:
			case <-ctx.Done():
				return telephony.Flow{}, ctx.Err()
			}
			switch host {
			case 2:
				return telephony.Flow{}, errDead
			case 3:
				panic("injected")
			}
			way.Flow.ID = openFlow
			return way.Flow, nil
		},
		Send:   func(out *signal.Outgoing) { e.sent <- out },
		Cancel: func(tx signal.TxID, _ string) { e.gone <- tx }, Failed: func(f transaction.Failure) { e.failed <- f },
		Unreached: func(listener string) { e.counts <- listener }, Fault: func(value any) { e.faults <- value },
	})
	e.Start()
	t.Cleanup(e.Stop)
	return e
}

// next returns what comes through a channel.
func next[T any](t *testing.T, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}

func invite(tx signal.TxID, ways ...signal.Way) *signal.Outgoing {
	return &signal.Outgoing{Tx: tx, Method: "INVITE", Ways: ways}
}

func TestRequestsKeepTheirOrder(t *testing.T) {
	e := newEdge(t, false)
	for tx := range signal.TxID(20) {
		if !e.Take(invite(tx+1, proxy(1))) {
			t.Fatal("there was no room")
		}
	}
	close(e.gate)
	for tx := range signal.TxID(20) {
		if out := next(t, e.sent); out.Tx != tx+1 || out.Ways[0].Flow.ID != openFlow {
			t.Errorf("request %d went over %+v, want %d", out.Tx, out.Ways, tx+1)
		}
	}
}

func TestWhatNeedsNoConnectionDoesNotWait(t *testing.T) {
	e := newEdge(t, true)
	stands, direct := proxy(1), proxy(1)
	stands.Flow.ID, direct.Path = openFlow, ""
	for _, way := range []signal.Way{stands, direct} {
		if e.Take(invite(1, way)) {
			t.Errorf("it waits for %+v", way)
		}
	}
	if e.Take(invite(1, stands, proxy(4))) {
		t.Error("it waits for its second way")
	}
	if host := next(t, e.opened); host != "192.0.2.4" { // which is opened meanwhile
		t.Errorf("%s was opened", host)
	}
}

// TestADeadProxyIsTriedOnce: whoever waited for it when it was found dead does not wait again.
func TestADeadProxyIsTriedOnce(t *testing.T) {
	e := newEdge(t, false)
	for tx := range signal.TxID(3) {
		e.Take(invite(tx+1, proxy(2)))
	}
	next(t, e.opened)
	close(e.gate)
	for tx := range signal.TxID(3) {
		if f := next(t, e.failed); f.Tx != tx+1 || f.Status != 503 || !strings.Contains(f.Reason, errDead.Error()) {
			t.Errorf("%+v", f)
		}
		if listener := next(t, e.counts); listener != "tls" {
			t.Errorf("counted for %q", listener)
		}
	}
	if len(e.opened) != 0 {
		t.Errorf("it was tried %d times more", len(e.opened))
	}
}

func TestTheNextWayIsTaken(t *testing.T) {
	e := newEdge(t, true)
	direct := signal.Way{Flow: telephony.Flow{ID: openFlow, Listener: "udp"}}
	e.Take(invite(1, proxy(2), direct))
	if out := next(t, e.sent); !slices.Equal(out.Ways, []signal.Way{direct}) {
		t.Errorf("sent over %+v", out.Ways)
	}
	e.Take(invite(2, proxy(2), proxy(1)))
	if out := next(t, e.sent); out.Tx != 2 || len(out.Ways) != 1 || out.Ways[0].Flow.Remote != proxy(1).Flow.Remote {
		t.Errorf("sent over %+v", out.Ways)
	}
	if len(e.failed) != 0 || len(e.counts) != 2 {
		t.Errorf("%d failed, %d ways were counted", len(e.failed), len(e.counts))
	}
}

func TestWhoIsGivenUpIsNotCalled(t *testing.T) {
	for name, ways := range map[string][]signal.Way{"over a proxy": {proxy(1)}, "over a dead one": {proxy(2), proxy(1)}, "over nothing else": {proxy(2)}} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, false)
			e.Take(invite(1, ways...))
			if !e.Cancel(1, "") || e.Cancel(2, "") {
				t.Error("it does not know who waits")
			}
			close(e.gate)
			if f := next(t, e.failed); f.Tx != 1 || f.Status != 487 || f.Method != "INVITE" {
				t.Errorf("%+v", f)
			}
			if len(e.sent) != 0 {
				t.Error("it was sent all the same")
			}
			if e.Cancel(1, "") {
				t.Error("it still waits")
			}
		})
	}
}

func TestAFullQueueTakesNoMore(t *testing.T) {
	e := newEdge(t, false)
	taken := 0
	for tx := signal.TxID(1); tx < 1000 && e.Take(invite(tx, proxy(1))); tx++ {
		taken++
	}
	if taken < 100 || taken > 300 {
		t.Errorf("%d wait", taken)
	}
	close(e.gate)
	for range taken {
		next(t, e.sent)
	}
}

func TestAPanicCostsOneRequest(t *testing.T) {
	e := newEdge(t, true)
	e.Take(invite(1, proxy(3)))
	if value := next(t, e.faults); value != "injected" {
		t.Errorf("%v", value)
	}
	for host := byte(4); host < 40; host++ { // whatever queue it was
		e.Take(invite(signal.TxID(host), proxy(host)))
	}
	for range 36 {
		next(t, e.sent)
	}
}
