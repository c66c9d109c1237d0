package compact

import "math/rand/v2"

// Slab keeps many small values of one kind in little memory: in chunks, so that growing copies none of them, each in a slot
// with a number from 1 on, and found by a hash. Those of one hash stay in the order in which they came. The zero value is empty.
type Slab[V any] struct {
	heads  []uint32 // by hash: the first slot of its chain, or 0; a power of two of them
	chunks [][]slot[V]
	free   uint32 // begins the chain of unused slots
	used   int
}

type slot[V any] struct {
	value V
	hash  uint32
	next  uint32
}

// Chunk is how many slots a slab grows by.
const Chunk = 256

const leastHeads = 64

// At returns the value in a slot, to be read or written in place: the zero value where the slot is not in use.
func (s *Slab[V]) At(n uint32) *V { return &s.slot(n).value }

// Len returns how many values there are.
func (s *Slab[V]) Len() int { return s.used }

func (s *Slab[V]) slot(n uint32) *slot[V] { return &s.chunks[(n-1)/Chunk][(n-1)%Chunk] }

func (s *Slab[V]) head(hash uint32) *uint32 { return &s.heads[int(hash)&(len(s.heads)-1)] }

// First returns the first slot of the hash, or 0.
func (s *Slab[V]) First(hash uint32) uint32 {
	if len(s.heads) == 0 {
		return 0
	}
	return s.sought(*s.head(hash), hash)
}

// After returns the next slot of the same hash, or 0.
func (s *Slab[V]) After(n uint32) uint32 {
	k := s.slot(n)
	return s.sought(k.next, k.hash)
}

func (s *Slab[V]) sought(n, hash uint32) uint32 {
	for n != 0 && s.slot(n).hash != hash {
		n = s.slot(n).next
	}
	return n
}

// Add puts a value behind those of its hash, and returns its slot.
func (s *Slab[V]) Add(hash uint32, v V) uint32 {
	if s.used >= len(s.heads) {
		s.spread(max(leastHeads, 2*len(s.heads)))
	}
	if s.free == 0 {
		s.grow()
	}
	n := s.free
	k := s.slot(n)
	s.free = k.next
	*k = slot[V]{value: v, hash: hash}
	s.append(n)
	s.used++
	return n
}

// append puts a slot at the end of its chain.
func (s *Slab[V]) append(n uint32) {
	end := s.head(s.slot(n).hash)
	for *end != 0 {
		end = &s.slot(*end).next
	}
	*end = n
}

// Remove empties a slot, which may be used again by the next value.
func (s *Slab[V]) Remove(n uint32) {
	k := s.slot(n)
	at := s.head(k.hash)
	for *at != n {
		at = &s.slot(*at).next
	}
	*at = k.next
	*k = slot[V]{next: s.free}
	s.free = n
	s.used--
}

// Slots is the highest number of a slot, in use or not.
func (s *Slab[V]) Slots() uint32 { return uint32(len(s.chunks)) * Chunk }

// Any returns the slot of some value. There has to be one.
func (s *Slab[V]) Any() uint32 {
	for start := rand.IntN(len(s.heads)); ; start++ {
		if n := s.heads[start&(len(s.heads)-1)]; n != 0 {
			return n
		}
	}
}

func (s *Slab[V]) grow() {
	first := s.Slots() + 1
	chunk := make([]slot[V], Chunk)
	for i := range chunk[1:] {
		chunk[i].next = first + uint32(i) + 1
	}
	s.chunks = append(s.chunks, chunk)
	s.free = first
}

// spread makes more chains of what there is.
func (s *Slab[V]) spread(heads int) {
	old := s.heads
	s.heads = make([]uint32, heads)
	for _, n := range old {
		for n != 0 {
			k := s.slot(n)
			next := k.next
			k.next = 0
			s.append(n)
			n = next
		}
	}
}
