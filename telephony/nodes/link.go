package nodes

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// link is the connection to one node. One caller dials; the others wait for what comes of that.
type link struct {
	turn   chan struct{} // of capacity one; held by who dials
	conn   *sip.Conn
	known  string // the address that it was reached at last
	failed error  // of the last attempt
	at     time.Time
	calls  atomic.Pointer[sip.Link] // that uses the connection
}

// response takes a response to a request of a call.
func (l *link) response(m *wire.Message) bool {
	calls := l.calls.Load()
	return calls != nil && !m.IsRequest() && (*calls).Response(m)
}

// pause is how long a node that could not be reached is left alone: everybody who wants a phone there would wait for the
// same refusal, one after the other.
const pause = time.Second

// askTime is how long the store may take to tell where a node is. After that its last address counts: others wait too.
const askTime = time.Second

func newLink() *link { return &link{turn: make(chan struct{}, 1)} }

// connect returns the open connection, or looks up where the node is now and dials.
func (l *link) connect(ctx context.Context, lookUp func(context.Context) (string, error), dial func(string) (*sip.Conn, error)) (
	*sip.Conn, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case l.conn != nil && l.conn.Err() == nil:
		return l.conn, nil
	case l.failed != nil && time.Since(l.at) < pause:
		return nil, l.failed
	case l.conn != nil:
		_ = l.conn.Close() // waits for its goroutines
		l.conn = nil
	}
	address, err := l.where(ctx, lookUp)
	if err != nil {
		return nil, err
	}
	conn, err := dial(address)
	l.failed, l.at = err, time.Now()
	if err != nil && ctx.Err() != nil {
		l.failed = nil // this caller had no time left; the next may have
	}
	if err == nil {
		l.conn, l.known = conn, address
	}
	return conn, err
}

// where looks up where the node is. While nobody can tell it is where it was: who else answers there is found out by his certificate.
func (l *link) where(ctx context.Context, lookUp func(context.Context) (string, error)) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	address, err := lookUp(bounded)
	if err != nil && l.known != "" && ctx.Err() == nil {
		return l.known, nil
	}
	return address, err
}

func (l *link) close() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// half holds the connections whose handshake is under way. When there are too many the oldest is closed for the newest:
// a node needs milliseconds, and silent strangers only displace each other.
type half struct {
	mu    sync.Mutex
	conns []waiting // oldest first
}

// waiting is one connection without its handshake.
type waiting struct {
	conn  closer
	since time.Time
}

type closer interface{ Close() error }

const (
	maxHalf  = 64
	patience = time.Second // how old a handshake is before a newer one may displace it
)

// enter lets a connection in, unless all places are taken by others as new.
func (h *half) enter(c closer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) >= maxHalf {
		if time.Since(h.conns[0].since) < patience {
			return false
		}
		_ = h.conns[0].conn.Close()
		h.conns = h.conns[1:]
	}
	h.conns = append(h.conns, waiting{c, time.Now()})
	return true
}

// leave says that the handshake has come to its end.
func (h *half) leave(c closer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, w := range h.conns {
		if w.conn == c {
			h.conns = append(h.conns[:i], h.conns[i+1:]...)
			return
		}
	}
}
