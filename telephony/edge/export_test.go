package edge

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"demarc/internal/bounded"
	"demarc/telephony/edge/transport"
	"demarc/telephony/wire"
)

// FailAt lets the edge panic at a point of its work, once.
func (e *Edge) FailAt(point string) {
	var failed atomic.Bool
	fail := func(where string) {
		if where == point && !failed.Swap(true) {
			panic("injected")
		}
	}
	e.failpoint.Store(&fail)
}

// Transactions returns how many server transactions there are.
func (e *Edge) Transactions() int { return e.servers.Len() }

// CallTransactions returns how many server transactions of calls there are.
func (e *Edge) CallTransactions() int { return e.signalling.uas.Len() }

// Feed returns a function that hands datagrams of one source to a socket without a system, and returns the answers when
// there is one to each. Datagrams and answers are good until the next batch.
func Feed(e *Edge, h Handler) func(all [][]byte, from netip.AddrPort) (answers [][]byte) {
	e.handler = h
	e.atOnce, _ = h.(AtOnce)
	var mu sync.Mutex
	var room []byte
	var answers [][]byte
	came := make(chan struct{}, 1)
	s := &socket{edge: e, cfg: e.cfg.Listeners[0], flows: newRemotes(1000),
		budget: bounded.NewMap[netip.Addr, *rate.Limiter](budgetSources)}
	s.outgoing = transport.NewDepartures(func(all []transport.Departure) int {
		mu.Lock()
		defer mu.Unlock()
		for _, one := range all {
			start := len(room)
			room = append(room, one.B...)
			answers = append(answers, room[start:])
		}
		select {
		case came <- struct{}{}:
		default:
		}
		return 0
	}, func(transport.Departure) {})
	var m wire.Message
	return func(all [][]byte, from netip.AddrPort) [][]byte {
		room, answers = room[:0], answers[:0]
		s.outgoing.Hold()
		now := e.cfg.Now()
		for _, b := range all {
			s.datagram(context.Background(), now, pair{remote: from}, b, &m)
		}
		s.outgoing.Release()
		for end := time.After(10 * time.Second); ; {
			mu.Lock()
			n := len(answers)
			mu.Unlock()
			if n >= len(all) {
				return answers
			}
			select {
			case <-came:
			case <-end:
				return answers
			}
		}
	}
}

// FeedCalls returns a function that hands datagrams to the first listener, which is a UDP one, without a system: the answers to a
// batch are told with where they go. Calls are served as they would be; h is called in place.
func FeedCalls(e *Edge, h interface {
	Handler
	Calls
}, sent func(b []byte, to netip.AddrPort)) func(all [][]byte, from netip.AddrPort) {
	e.handler = h
	e.signalling.start(h)
	s := e.sockets[0]
	s.outgoing = transport.NewDepartures(func(all []transport.Departure) int {
		for _, one := range all {
			sent(one.B, one.To)
		}
		return 0
	}, func(transport.Departure) {})
	var m wire.Message
	return func(all [][]byte, from netip.AddrPort) {
		s.outgoing.Hold()
		defer s.outgoing.Release()
		now := e.cfg.Now()
		for _, b := range all {
			s.datagram(context.Background(), now, pair{remote: from}, b, &m)
		}
	}
}

// StopCalls ends what FeedCalls began.
func StopCalls(e *Edge) {
	e.signalling.stop()
	e.close()
}
