package access

import (
	"container/list"
	"math"
	"net/netip"
	"sync"
	"time"
)

// GuessConfig bounds how often one-time codes may be tried.
type GuessConfig struct {
	PerSource int           // tries of one source before it must wait
	Refill    time.Duration // time until a source may try once more
	Total     int           // tries of all sources together before everybody must wait
	TotalFill time.Duration // time until all together may try once more
	Sources   int           // sources remembered; the one unseen longest is forgotten
	Now       func() time.Time
}

// DefaultGuesses returns bounds that no office behind one address will meet, since a right code costs nothing, and
// under which guessing a code is hopeless.
func DefaultGuesses(now func() time.Time) GuessConfig {
	return GuessConfig{
		PerSource: 10, Refill: 30 * time.Second, Total: 300, TotalFill: 200 * time.Millisecond, Sources: 10_000, Now: now,
	}
}

// Guesses limits tries of one-time codes, by source and in total, in bounded memory.
type Guesses struct {
	c      GuessConfig
	mu     sync.Mutex
	total  bucket
	bySrc  map[netip.Prefix]*list.Element
	recent list.List // of *source, the one seen last in front
}

type source struct {
	prefix netip.Prefix
	bucket bucket
}

// NewGuesses returns a limiter.
func NewGuesses(c GuessConfig) *Guesses {
	g := &Guesses{c: c, bySrc: make(map[netip.Prefix]*list.Element)}
	g.total = bucket{tokens: float64(c.Total), at: c.Now()}
	return g
}

// Take spends one try of the source. When there is none left it returns false and how long to wait.
func (g *Guesses) Take(from netip.Addr) (ok bool, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.c.Now()
	src := g.source(prefixOf(from), now)
	src.bucket.fill(now, g.c.PerSource, g.c.Refill)
	g.total.fill(now, g.c.Total, g.c.TotalFill)
	if src.bucket.tokens < 1 {
		return false, src.bucket.wait(g.c.Refill)
	}
	if g.total.tokens < 1 {
		return false, g.total.wait(g.c.TotalFill)
	}
	src.bucket.tokens--
	g.total.tokens--
	return true, 0
}

// Refund gives the try back: the code was right.
func (g *Guesses) Refund(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total.tokens = min(g.total.tokens+1, float64(g.c.Total))
	if e, ok := g.bySrc[prefixOf(from)]; ok {
		b := &e.Value.(*source).bucket
		b.tokens = min(b.tokens+1, float64(g.c.PerSource))
	}
}

// Remembered returns how many sources are held.
func (g *Guesses) Remembered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.bySrc)
}

func (g *Guesses) source(p netip.Prefix, now time.Time) *source {
	if e, ok := g.bySrc[p]; ok {
		g.recent.MoveToFront(e)
		return e.Value.(*source)
	}
	if len(g.bySrc) >= g.c.Sources {
		last := g.recent.Back()
		delete(g.bySrc, last.Value.(*source).prefix)
		g.recent.Remove(last)
	}
	s := &source{prefix: p, bucket: bucket{tokens: float64(g.c.PerSource), at: now}}
	g.bySrc[p] = g.recent.PushFront(s)
	return s
}

// prefixOf counts an IPv6 /64 as one source: one subscriber has all of it.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // no address at all: such callers share one bucket
		return netip.Prefix{}
	}
	return p
}

type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) fill(now time.Time, limit int, per time.Duration) {
	if gone := now.Sub(b.at); gone > 0 {
		b.tokens = min(float64(limit), b.tokens+float64(gone)/float64(per))
	}
	b.at = now
}

func (b *bucket) wait(per time.Duration) time.Duration {
	return time.Duration(math.Ceil((1 - b.tokens) * float64(per)))
}
