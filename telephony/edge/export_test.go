package edge

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"demarc/telephony/wire"
)

// ReadRegister lets the tests reach the reader without a socket.
var ReadRegister = readRegister

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

// ReadSubscribe lets the tests reach the reader without a socket.
var ReadSubscribe = readSubscribe

// STUNReply lets the tests reach the STUN reader without a socket.
var STUNReply = stunReply

// Transactions returns how many server transactions there are.
func (e *Edge) Transactions() int { return e.servers.Len() }

// Feed returns a function that hands a batch of one datagram to a socket without a system, and one that returns the last
// answer.
func Feed(e *Edge, h Handler) (datagram func(b []byte, from netip.AddrPort), last func() []byte) {
	e.handler = h
	var mu sync.Mutex
	var answer []byte
	s := &socket{edge: e, cfg: e.cfg.Listeners[0], flows: newRemotes(1000),
		budget: newGenerations[netip.Addr, *rate.Limiter](budgetSources)}
	s.outgoing = newDepartures(func(all []departure) int {
		mu.Lock()
		defer mu.Unlock()
		answer = append([]byte(nil), all[len(all)-1].b...)
		return 0
	}, func() {})
	var m wire.Message
	return func(b []byte, from netip.AddrPort) {
			s.outgoing.hold()
			s.datagram(context.Background(), from, b, &m)
			s.outgoing.release()
		}, func() []byte {
			mu.Lock()
			defer mu.Unlock()
			return answer
		}
}
