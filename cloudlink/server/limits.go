package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// attempts counts tries by key over a window, in bounded memory.
type attempts struct {
	mu     sync.Mutex
	counts map[string]window
	span   time.Duration
	most   int // keys
	now    func() time.Time
}

type window struct {
	tries int
	ends  time.Time
}

func newAttempts(span time.Duration, now func() time.Time) *attempts {
	return &attempts{counts: make(map[string]window), span: span, most: 20_000, now: now}
}

// allowance is how often a key may be tried within the window.
type allowance struct {
	key   string
	limit int
}

// take spends one try of each key; when one of them has none left, nothing is spent and it returns how long to wait.
func (a *attempts) take(keys ...allowance) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for _, k := range keys {
		if w, ok := a.counts[k.key]; ok && now.Before(w.ends) && w.tries >= k.limit {
			wait = max(wait, w.ends.Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, k := range keys {
		w := a.counts[k.key]
		if !now.Before(w.ends) {
			w = window{ends: now.Add(a.span)}
		}
		w.tries++
		a.room(now)
		a.counts[k.key] = w
	}
	return 0
}

// giveBack returns a try: it was a good one.
func (a *attempts) giveBack(keys ...allowance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range keys {
		if w, ok := a.counts[k.key]; ok && w.tries > 0 {
			w.tries--
			a.counts[k.key] = w
		}
	}
}

// room keeps the memory bounded: ended windows go first, then any.
func (a *attempts) room(now time.Time) {
	if len(a.counts) < a.most {
		return
	}
	for key, w := range a.counts {
		if !now.Before(w.ends) {
			delete(a.counts, key)
		}
	}
	for key := range a.counts {
		if len(a.counts) < a.most {
			return
		}
		delete(a.counts, key)
	}
}

// sourceOf names where a request came from; a whole IPv6 /64 is one source, because one subscriber has all of it.
func sourceOf(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip := peer.Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// pace holds one token bucket per client and account, so that one tenant's haste never slows another.
type pace struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	rate    rate.Limit
	burst   int
	now     func() time.Time
}

func newPace(l Limits, now func() time.Time) *pace {
	return &pace{
		buckets: make(map[string]*rate.Limiter), rate: rate.Limit(l.RequestsPerSecond), burst: l.Burst, now: now,
	}
}

// take spends one request, or returns how long to wait.
func (p *pace) take(key string) time.Duration {
	now := p.now()
	reservation := p.bucket(key).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (p *pace) bucket(key string) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.buckets[key]
	if !ok {
		if len(p.buckets) >= 20_000 { // keys are authenticated clients: this many means that most are long gone
			clear(p.buckets)
		}
		b = rate.NewLimiter(p.rate, p.burst)
		p.buckets[key] = b
	}
	return b
}
