package guard

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Connections counts connections per source and in total. Connections that have not sent a message yet are half open; when
// there are too many of those, the oldest is closed for the newest: a good phone needs milliseconds to get through,
// and silent sockets only displace each other. One that is younger than Limits.Patience is left alone and the newest
// refused: when all phones come back at once, handshakes under way must come to their end.
type Connections struct {
	limits Limits

	mu      sync.Mutex
	total   int
	sources map[netip.Addr]*visitor
	half    list.List // of *Ticket, oldest first
}

type visitor struct{ open, half int }

// Ticket is one admitted connection.
type Ticket struct {
	source netip.Addr
	close  func()
	since  time.Time
	half   *list.Element // nil once the first message came
}

// NewConnections returns the count of no connection yet.
func NewConnections(l Limits) *Connections {
	return &Connections{limits: l, sources: make(map[netip.Addr]*visitor)}
}

// Admit lets a connection in, or says which limit is reached, in a word for the counters. closeIt is called at most once, to
// displace it, by whoever admits another one then.
func (g *Connections) Admit(from netip.Addr, closeIt func()) (*Ticket, string) {
	t := &Ticket{source: Source(from), close: closeIt, since: time.Now()}
	g.mu.Lock()
	if g.total >= g.limits.Connections {
		g.mu.Unlock()
		return nil, "connections"
	}
	v := g.sources[t.source]
	if v == nil {
		v = &visitor{}
	}
	if v.open >= g.limits.SourceConnections {
		g.mu.Unlock()
		return nil, "source_connections"
	}
	displaced := g.tooMany(t.source, v)
	if displaced != nil && time.Since(displaced.since) < g.limits.Patience {
		g.mu.Unlock()
		return nil, "half_open"
	}
	if displaced != nil {
		g.opened(displaced)
	}
	g.sources[t.source] = v
	v.open++
	v.half++
	g.total++
	t.half = g.half.PushBack(t)
	g.mu.Unlock()
	if displaced != nil {
		displaced.close()
	}
	return t, ""
}

// tooMany returns the half open connection that has to go before another one comes, if any has.
func (g *Connections) tooMany(from netip.Addr, v *visitor) *Ticket {
	switch {
	case v.half >= g.limits.SourceHalfOpen:
		return g.oldest(from)
	case g.half.Len() >= g.limits.HalfOpen:
		return g.half.Front().Value.(*Ticket)
	}
	return nil
}

func (g *Connections) oldest(from netip.Addr) *Ticket {
	for e := g.half.Front(); e != nil; e = e.Next() {
		if t := e.Value.(*Ticket); t.source == from {
			return t
		}
	}
	return nil
}

// First says that the connection sent something whole: it is half open no more.
func (g *Connections) First(t *Ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened(t)
}

func (g *Connections) opened(t *Ticket) {
	if t.half != nil {
		g.half.Remove(t.half)
		t.half = nil
		g.sources[t.source].half--
	}
}

// Leave says that the connection is closed. It must be called once for each that was admitted.
func (g *Connections) Leave(t *Ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened(t)
	g.total--
	v := g.sources[t.source]
	if v.open--; v.open == 0 {
		delete(g.sources, t.source)
	}
}

// HalfOpen returns how many connections have sent nothing whole yet.
func (g *Connections) HalfOpen() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.half.Len()
}
