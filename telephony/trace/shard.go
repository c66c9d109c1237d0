package trace

import "sync"

// shard has two classes of rings, of known phones and of strangers; each has its budget and drops what was heard of least
// recently.
type shard struct {
	mu      sync.Mutex
	memory  memory
	index   []int32 // by the hash of an AoR: the first ring of its chain, or none; a power of two of them
	rings   []ring  // the first two stand between the newest and the oldest of each class
	known   int     // rings in the index
	unused  []int32 // rings
	last    int32   // ring that was written to
	classes [2]class
	text    []byte // of the record that is being written
}

// ring holds the last records of one AoR, one behind the other. Two AoRs of the same hash share it; each record says whose it is.
type ring struct {
	hash           uint64
	records        chain
	newest         uint64 // number of its last record
	count          int32  // of records
	class          int32
	previous, next int32 // rings of the class: next was heard of later
	after          int32 // ring in the same chain of the index, or none
}

// class has a budget in bytes.
type class struct{ budget, used int }

// ringSize is what a ring costs beside its blocks, its place in the index included, in bytes.
const ringSize = 80

// usualNames is about how long a record is beside its text, in bytes.
const usualNames = 80

// leastIndex is how many chains the index has at least.
const leastIndex = 64

// largestText is the largest buffer for records that is kept.
const largestText = 2 * maxText

func (s *shard) init(budget int) {
	s.memory = newMemory()
	s.rings = []ring{{previous: 0, next: 0}, {class: 1, previous: 1, next: 1}}
	s.spread(leastIndex)
	strangers := budget / strangerShare
	s.classes = [2]class{{budget: strangers}, {budget: budget - strangers}}
}

func (s *shard) keep(hash uint64, m *Message, seq uint64) {
	n := s.last
	if s.rings[n].hash != hash || n < 2 { // an answer follows its request
		if n = s.find(hash); n == none {
			n = s.newRing(hash)
		}
		s.last = n
	}
	k := &s.rings[n]
	s.unlink(n)
	if m.Known && k.class == 0 { // it authenticated: out of the strangers' part
		s.classes[0].used -= k.size()
		s.classes[1].used += k.size()
		k.class = 1
	}
	s.link(n)
	s.memory.approach(&k.records, len(m.Text)+len(m.Answer)+2*usualNames)
	var tokens bool
	s.text, tokens = appendRecord(s.text[:0], m, seq)
	s.push(k, s.text)
	k.newest = seq
	if len(m.Answer) > 0 {
		s.text = appendAnswer(s.text[:0], m, seq+1, tokens)
		s.push(k, s.text)
		k.newest = seq + 1
	}
	for k.count > maxPerAoR {
		s.forgetOldest(k)
	}
	if cap(s.text) > largestText {
		s.text = nil
	}
	for c := &s.classes[k.class]; c.used > c.budget; {
		oldest := s.rings[k.class].next
		if oldest == n && k.count > 1 { // alone it may hold what it holds, less its oldest
			s.forgetOldest(k)
			continue
		}
		s.drop(oldest)
		if oldest == n {
			return
		}
	}
}

func (s *shard) newRing(hash uint64) int32 {
	var n int32
	if last := len(s.unused) - 1; last >= 0 {
		n, s.unused = s.unused[last], s.unused[:last]
	} else {
		n = int32(len(s.rings))
		s.rings = append(s.rings, ring{})
	}
	s.rings[n] = ring{hash: hash, records: emptyChain(), previous: n, next: n}
	s.classes[0].used += ringSize
	s.enter(n)
	if s.known++; s.known > len(s.index) {
		s.spread(2 * len(s.index))
	}
	return n
}

// size is what a ring counts for in the budget.
func (k *ring) size() int { return ringSize + int(k.records.blocks)*blockSize }

// push adds a record.
func (s *shard) push(k *ring, record []byte) {
	before := k.records.blocks
	s.memory.append(&k.records, record)
	k.count++
	s.classes[k.class].used += int(k.records.blocks-before) * blockSize
}

// forgetOldest gives up a ring's oldest record, which is not its only one.
func (s *shard) forgetOldest(k *ring) {
	before := k.records.blocks
	s.memory.shorten(&k.records, s.sizeAt(k.records.beginning()))
	k.count--
	s.classes[k.class].used -= int(before-k.records.blocks) * blockSize
}

// sizeAt returns the size of the record that begins at a place.
func (s *shard) sizeAt(at place) int {
	var room [recordSize]byte
	size, _ := s.memory.read(room[:0], at, recordSize)
	return sizeOf(size)
}

// drop forgets an AoR.
func (s *shard) drop(n int32) {
	k := &s.rings[n]
	s.unlink(n)
	s.classes[k.class].used -= k.size()
	s.memory.give(&k.records)
	s.leave(n)
	s.known--
	s.unused = append(s.unused, n)
	if s.last == n {
		s.last = 0
	}
}

// link makes the ring the one of its class that was heard of last.
func (s *shard) link(n int32) {
	k := &s.rings[n]
	newest := s.rings[k.class].previous
	k.previous, k.next = newest, k.class
	s.rings[newest].next, s.rings[k.class].previous = n, n
}

func (s *shard) unlink(n int32) {
	k := &s.rings[n]
	s.rings[k.previous].next, s.rings[k.next].previous = k.next, k.previous
}

// each visits the records of a ring after a number, oldest first; their texts are good until the next one.
func (s *shard) each(k *ring, after uint64, visit func(Entry)) {
	var room []byte
	at := k.records.beginning()
	for range k.count {
		room, _ = s.memory.read(room[:0], at, recordBegin)
		size := sizeOf(room)
		if seqOf(room) <= after {
			at = s.memory.skip(at, size)
			continue
		}
		room, at = s.memory.read(room[:0], at, size)
		visit(readRecord(room))
	}
}
