package media

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// pool is the port pairs that are free, in an order that a stranger cannot guess. The one given back last is used last, so
// that what still comes for a former call meets a closed port for as long as possible.
type pool struct {
	mu   sync.Mutex
	ring []uint16 // even ports
	next int      // the one to take
	free int

	warm atomic.Int64 // free too, but bound: a loop keeps them
}

func newPool(r PortRange) *pool {
	p := &pool{}
	for port := int(r.First); port+1 <= int(r.Last); port += 2 {
		p.ring = append(p.ring, uint16(port))
	}
	rand.Shuffle(len(p.ring), func(i, j int) { p.ring[i], p.ring[j] = p.ring[j], p.ring[i] })
	p.free = len(p.ring)
	return p
}

// take returns the even port of a free pair.
func (p *pool) take() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 {
		return 0, false
	}
	port := p.ring[p.next]
	p.next = (p.next + 1) % len(p.ring)
	p.free--
	return port, true
}

// give puts a pair back.
func (p *pool) give(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ring[(p.next+p.free)%len(p.ring)] = port
	p.free++
}

// rests counts pairs that a loop begins to keep, or ends to.
func (p *pool) rests(n int) { p.warm.Add(int64(n)) }

// size is how many pairs there are, and how many of them are free.
func (p *pool) size() (all, free int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ring), p.free + int(p.warm.Load())
}
