package digest

import (
	"sync"
	"time"
)

// countSlots divides a nonce's lifetime, and the limit: what has outlived either is forgotten a slot at a time.
const countSlots = 8

// counts remembers which nonce counts were used. Each (nonce, nc) is good once (RFC 7616 §5.12); phones reuse a nonce
// with nc=2, 3 …, and those may overtake each other. Memory is bounded: beyond the limit the oldest nonces are
// forgotten and from then on not accepted, never accepted again. Which are older is told by their numbers: the clock may be set.
type counts struct {
	mu    sync.Mutex
	width int64 // of a slot in milliseconds, at most
	limit int
	size  int
	slots []countSlot // by number, never empty; a nonce is in the last one that begins with its number or before
	last  uint64      // the highest number that was used
}

// countSlot holds the used nonces from a number on. There are many, nearly all of them used once, with the
// count 1, and numbered in turn: a bit is enough for one of those.
type countSlot struct {
	first  uint64
	began  int64             // Unix milliseconds; what has a lower number was issued before
	size   int               // nonces
	once   map[uint64]uint64 // by number/64: those with the count 1
	nonces map[uint64]window // those with others
}

func newCountSlot(first uint64, began int64) countSlot {
	return countSlot{first: first, began: began, once: make(map[uint64]uint64), nonces: make(map[uint64]window)}
}

func (s *countSlot) find(id uint64) (w window, known bool) {
	if w, known = s.nonces[id]; known {
		return w, true
	}
	if s.once[id/64]>>(id%64)&1 == 1 {
		return window{top: 1, used: 1}, true
	}
	return window{}, false
}

func (s *countSlot) put(id uint64, w window) {
	if w == (window{top: 1, used: 1}) {
		s.once[id/64] |= 1 << (id % 64)
		return
	}
	s.nonces[id] = w
}

func newCounts(lifetime time.Duration, limit int) *counts {
	return &counts{
		width: max(lifetime.Milliseconds()/countSlots, 1), limit: limit,
		slots: []countSlot{newCountSlot(0, 0)},
	}
}

// use records nc and returns OK, Replayed, or Stale when the nonce has been forgotten.
func (c *counts) use(n nonce, nc uint32, now time.Time, lifetime time.Duration) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, n.id)
	for len(c.slots) > 1 && c.slots[1].began <= now.Add(-lifetime).UnixMilli() {
		c.forgetOldest()
	}
	c.begin(now.UnixMilli())
	if n.id < c.slots[0].first {
		return Stale
	}
	at := len(c.slots) - 1
	for c.slots[at].first > n.id {
		at--
	}
	slot := &c.slots[at]
	w, known := slot.find(n.id)
	if !w.use(nc) {
		return Replayed
	}
	slot.put(n.id, w)
	if !known {
		slot.size++
		c.size++
	}
	return OK
}

// begin starts a slot when the last one is full or old, and makes room. It begins behind every nonce that was used: those are in the
// old slot already.
func (c *counts) begin(now int64) {
	last := c.slots[len(c.slots)-1]
	full := last.size >= max(1, c.limit/countSlots) || c.size >= c.limit
	if age := now - last.began; full || age >= c.width || age <= -c.width { // the clock was set back, perhaps
		c.slots = append(c.slots, newCountSlot(c.last+1, now))
	}
	for c.size >= c.limit && len(c.slots) > 1 {
		c.forgetOldest()
	}
}

// forgetOldest drops a slot. What had its place there is below the first number now.
func (c *counts) forgetOldest() {
	c.size -= c.slots[0].size
	c.slots = append(c.slots[:0], c.slots[1:]...)
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
