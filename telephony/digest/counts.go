package digest

import (
	"sync"
	"time"
)

// countSlots divides a nonce's lifetime: what has outlived it is forgotten a slot at a time.
const countSlots = 8

// counts remembers which nonce counts were used. Each (nonce, nc) is good once (RFC 7616 §5.12); phones reuse a nonce
// with nc=2, 3 …, and those may overtake each other. Memory is bounded: beyond the limit the oldest nonces are
// forgotten and from then on not accepted, never accepted again.
type counts struct {
	mu    sync.Mutex
	width time.Duration
	limit int
	size  int
	slots map[int64]map[uint64]*window // by issue time, then by nonce id
	floor time.Time                    // nonces issued up to here have been forgotten
}

func newCounts(lifetime time.Duration, limit int) *counts {
	return &counts{
		width: max(lifetime/countSlots, time.Millisecond),
		limit: limit,
		slots: make(map[int64]map[uint64]*window),
	}
}

// use records nc and returns OK, Replayed, or Stale when the nonce has been forgotten.
func (c *counts) use(n nonce, nc uint32, now time.Time, lifetime time.Duration) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(c.slot(now.Add(-lifetime))-1, now)
	if !n.issued.After(c.floor) {
		return Stale
	}
	at := c.slot(n.issued)
	w := c.slots[at][n.id]
	if w == nil {
		if c.size >= c.limit {
			c.forgetOldest(now)
			if !n.issued.After(c.floor) {
				return Stale
			}
		}
		if c.slots[at] == nil {
			c.slots[at] = make(map[uint64]*window)
		}
		w = &window{}
		c.slots[at][n.id] = w
		c.size++
	}
	if !w.use(nc) {
		return Replayed
	}
	return OK
}

func (c *counts) slot(t time.Time) int64 { return t.UnixMilli() / c.width.Milliseconds() }

// forget drops the slots up to last. The floor rises with them, so that a clock set back brings no nonce to life again.
func (c *counts) forget(last int64, now time.Time) {
	for at, nonces := range c.slots {
		if at > last {
			continue
		}
		c.size -= len(nonces)
		delete(c.slots, at)
		end := time.UnixMilli((at+1)*c.width.Milliseconds() - 1)
		if end.After(now) {
			end = now // the slot is still open: what is issued from now on is good
		}
		if end.After(c.floor) {
			c.floor = end
		}
	}
}

func (c *counts) forgetOldest(now time.Time) {
	oldest := c.slot(now)
	for at := range c.slots {
		oldest = min(oldest, at)
	}
	c.forget(oldest, now)
}

// window is the highest count used and which of the 64 below it were.
type window struct {
	top  uint32
	used uint64 // bit i: top-i was used
}

// use reports whether nc was new. Counts older than the window are taken as used.
func (w *window) use(nc uint32) bool {
	if nc > w.top {
		w.used = w.used<<min(nc-w.top, 64) | 1
		w.top = nc
		return true
	}
	back := w.top - nc
	if back >= 64 || w.used&(1<<back) != 0 {
		return false
	}
	w.used |= 1 << back
	return true
}
