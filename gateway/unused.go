package gateway

import (
	"net"
	"net/http"
	"sync"
)

// unused holds the connections of an HTTP server over which no request has come yet. Browsers open some in advance, and a
// graceful shutdown would wait seconds for each listener's.
type unused struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once they are not wanted any more
}

func newUnused() *unused { return &unused{conns: make(map[net.Conn]struct{})} }

// note is the server's ConnState.
func (u *unused) note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, c)
	case u.conns == nil:
		_ = c.Close()
	default:
		u.conns[c] = struct{}{}
	}
}

// close closes them, and those that still come.
func (u *unused) close() {
	u.mu.Lock()
	conns := u.conns
	u.conns = nil
	u.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}
