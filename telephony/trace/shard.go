package trace

import (
	"sync"

	"demarc/telephony"
)

// shard has two classes of rings, of known phones and of strangers; each has its budget and drops what was heard of
// least recently. Memory that is dropped is used for what comes next, so that remembering leaves no garbage.
type shard struct {
	mu      sync.Mutex
	rings   map[telephony.AoR]*ring
	classes [2]class
	texts   texts
	spare   []*ring
}

// class is a list of rings by when they were heard of.
type class struct {
	budget, used int
	list         ring // stands before the oldest and after the newest
}

// maxSpare is how many dropped rings a shard keeps for the next AoRs.
const maxSpare = 16

func (s *shard) init(budget int) {
	s.rings = make(map[telephony.AoR]*ring)
	strangers := budget / strangerShare
	for i, part := range [2]int{strangers, budget - strangers} {
		c := &s.classes[i]
		c.budget = part
		c.list.next, c.list.previous = &c.list, &c.list
	}
}

func (s *shard) keep(m Message, seq uint64) {
	k := s.rings[m.AoR]
	if k == nil {
		k = s.newRing(m.AoR)
	}
	if m.Known && k.class == 0 { // it authenticated: out of the strangers' part
		s.classes[0].used -= k.bytes
		s.classes[1].used += k.bytes
		k.class = 1
	}
	c := &s.classes[k.class]
	c.toFront(k)
	if k.count == maxPerAoR {
		c.used -= s.forgetOldest(k)
	}
	m.Text = appendRedacted(s.texts.take(len(m.Text)), m.Text)
	c.used += k.push(entry{m.At, m.Inbound, m.Known, m.Transport, m.Local, m.Remote, m.Text, seq})
	for c.used > c.budget && c.list.next != &c.list {
		oldest := c.list.next
		if oldest == k && k.count > 0 { // alone it may hold what it holds, less its oldest
			c.used -= s.forgetOldest(k)
			continue
		}
		s.drop(oldest)
	}
}

func (s *shard) newRing(aor telephony.AoR) *ring {
	k := &ring{}
	if n := len(s.spare); n > 0 {
		k, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	k.aor = aor
	s.rings[aor] = k
	return k
}

// forgetOldest gives up a ring's oldest message and returns how much it took.
func (s *shard) forgetOldest(k *ring) int {
	gone := k.pop()
	s.texts.give(gone.text)
	return gone.size()
}

// drop forgets an AoR.
func (s *shard) drop(k *ring) {
	c := &s.classes[k.class]
	k.unlink()
	for k.count > 0 {
		c.used -= s.forgetOldest(k)
	}
	delete(s.rings, k.aor)
	if len(s.spare) < maxSpare {
		*k = ring{room: k.room} // all of it is empty
		s.spare = append(s.spare, k)
	}
}

// toFront makes the ring the one that was heard of last.
func (c *class) toFront(k *ring) {
	k.unlink()
	k.previous, k.next = c.list.previous, &c.list
	k.previous.next, k.next.previous = k, k
}
