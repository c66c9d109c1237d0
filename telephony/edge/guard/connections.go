package guard

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Connections counts connections per source and in total. Connections that have not sent a message yet are half open; when
// there are too many of those, the oldest is closed for the newest: a good phone needs milliseconds to get through,
// and silent sockets only displace each other. When there are too many in total, or of one source, it is the oldest over which
// nobody has proved who they are: strangers who say something now and then must not keep phones out, nor those behind the same
// address. One that is younger than Limits.Patience
// is left alone and the newest refused: when all phones come back at once, handshakes under way must come to their end.
type Connections struct {
	limits Limits

	mu        sync.Mutex
	total     int
	sources   map[netip.Addr]*visitor
	half      list.List // of *Ticket, oldest first
	strangers list.List // of *Ticket, oldest first: they have sent a message, and proved nothing
}

type visitor struct{ open, half int }

// Ticket is one admitted connection.
type Ticket struct {
	source netip.Addr
	close  func()
	since  time.Time

	half     *list.Element // nil once the first message came
	stranger *list.Element
	proven   bool
	gone     bool
}

// NewConnections returns the count of no connection yet.
func NewConnections(l Limits) *Connections {
	return &Connections{limits: l, sources: make(map[netip.Addr]*visitor)}
}

// Admit lets a connection in, or says which limit is reached, in a word for the counters. closeIt is called at most once, to
// displace it, by whoever admits another one then.
func (g *Connections) Admit(from netip.Addr, closeIt func()) (*Ticket, string) {
	t := &Ticket{source: Source(from), close: closeIt, since: time.Now()}
	displaced, full := g.admit(t)
	if full != "" {
		return nil, full
	}
	if displaced != nil {
		displaced.close()
	}
	return t, ""
}

func (g *Connections) admit(t *Ticket) (displaced *Ticket, full string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if displaced, full = g.tooMany(t.source); full != "" {
		if displaced == nil || time.Since(displaced.since) < g.limits.Patience {
			return nil, full
		}
		g.leave(displaced)
	}
	v := g.sources[t.source]
	if v == nil {
		v = &visitor{}
		g.sources[t.source] = v
	}
	v.open++
	v.half++
	g.total++
	t.half = g.half.PushBack(t)
	return displaced, ""
}

// tooMany says which limit is reached, and returns who could go before another one comes, if anybody.
func (g *Connections) tooMany(from netip.Addr) (oldest *Ticket, full string) {
	var v visitor
	if known := g.sources[from]; known != nil {
		v = *known
	}
	switch {
	case v.half >= g.limits.SourceHalfOpen:
		return firstOf(&g.half, from), "half_open"
	case v.open >= g.limits.SourceConnections && g.half.Len() >= g.limits.HalfOpen:
		return nil, "source_connections"
	case v.open >= g.limits.SourceConnections:
		return firstOf(&g.strangers, from), "source_connections"
	case g.half.Len() >= g.limits.HalfOpen:
		return first(&g.half), "half_open"
	case g.total < g.limits.Connections:
		return nil, ""
	case g.strangers.Len() > 0:
		return first(&g.strangers), "connections"
	}
	return first(&g.half), "connections"
}

// first returns the oldest of a list, or nil.
func first(l *list.List) *Ticket {
	if e := l.Front(); e != nil {
		return e.Value.(*Ticket)
	}
	return nil
}

// firstOf returns the oldest of a list that is of the source, or nil.
func firstOf(l *list.List, from netip.Addr) *Ticket {
	for e := l.Front(); e != nil; e = e.Next() {
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
	if !t.proven && !t.gone && t.stranger == nil {
		t.stranger = g.strangers.PushBack(t)
	}
}

// Proven says that somebody proved on the connection who they are: no stranger's displaces it any more.
func (g *Connections) Proven(t *Ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.proven = true
	g.noStranger(t)
}

func (g *Connections) opened(t *Ticket) {
	if t.half != nil {
		g.half.Remove(t.half)
		t.half = nil
		g.sources[t.source].half--
	}
}

func (g *Connections) noStranger(t *Ticket) {
	if t.stranger != nil {
		g.strangers.Remove(t.stranger)
		t.stranger = nil
	}
}

// Leave says that the connection is closed. It must be called once for each that was admitted.
func (g *Connections) Leave(t *Ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave(t)
}

// leave gives the place of a connection back: that of a displaced one is somebody else's at once.
func (g *Connections) leave(t *Ticket) {
	if t.gone {
		return
	}
	g.opened(t)
	g.noStranger(t)
	t.gone = true
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
