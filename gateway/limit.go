package gateway

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Bounds of one HTTP listener. They leave most of a process's file descriptors to SIP, whose phones would otherwise lose
// their registrations to a flood on the web side.
const (
	httpConnections = 8192
	httpPerSource   = 512 // an office behind one address, a reverse proxy
)

// limited is a listener that closes connections above its bounds as they come.
type limited struct {
	net.Listener
	most, perSource int
	refused         atomic.Uint64

	mu      sync.Mutex
	all     int
	sources map[netip.Prefix]int
}

func limit(l net.Listener, most, perSource int) *limited {
	return &limited{Listener: l, most: most, perSource: perSource, sources: make(map[netip.Prefix]int)}
}

// Accept returns the next connection within the bounds.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(c.RemoteAddr())
		if l.enter(source) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { l.leave(source) })}, nil
		}
		l.refused.Add(1)
		_ = c.Close() // a stranger's: nobody to tell
	}
}

func (l *limited) enter(source netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.most || l.sources[source] >= l.perSource {
		return false
	}
	l.all++
	l.sources[source]++
	return true
}

func (l *limited) leave(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.sources[source]--; l.sources[source] == 0 {
		delete(l.sources, source)
	}
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

// sourceOf counts an IPv6 /64 as one source: one subscriber has all of it.
func sourceOf(a net.Addr) netip.Prefix {
	peer, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // a Unix socket
	}
	ip := peer.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
