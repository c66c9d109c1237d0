package registrar

import "math/rand/v2"

// slab keeps many small values of one kind in little memory: in chunks, so that growing copies none of them, each in a slot
// with a number from 1 on, and found by a hash. Those of one hash stay in the order in which they came.
type slab[V any] struct {
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

const (
	chunkSlots = 256
	leastHeads = 64
)

func (s *slab[V]) at(n uint32) *slot[V] { return &s.chunks[(n-1)/chunkSlots][(n-1)%chunkSlots] }

func (s *slab[V]) head(hash uint32) *uint32 { return &s.heads[int(hash)&(len(s.heads)-1)] }

// first returns the first slot of the hash, or 0.
func (s *slab[V]) first(hash uint32) uint32 {
	if len(s.heads) == 0 {
		return 0
	}
	return s.sought(*s.head(hash), hash)
}

// after returns the next slot of the same hash, or 0.
func (s *slab[V]) after(n uint32) uint32 {
	k := s.at(n)
	return s.sought(k.next, k.hash)
}

func (s *slab[V]) sought(n, hash uint32) uint32 {
	for n != 0 && s.at(n).hash != hash {
		n = s.at(n).next
	}
	return n
}

// add puts a value behind those of its hash, and returns its slot.
func (s *slab[V]) add(hash uint32, v V) uint32 {
	if s.used >= len(s.heads) {
		s.spread(max(leastHeads, 2*len(s.heads)))
	}
	if s.free == 0 {
		s.grow()
	}
	n := s.free
	k := s.at(n)
	s.free = k.next
	*k = slot[V]{value: v, hash: hash}
	s.append(n)
	s.used++
	return n
}

// append puts a slot at the end of its chain.
func (s *slab[V]) append(n uint32) {
	end := s.head(s.at(n).hash)
	for *end != 0 {
		end = &s.at(*end).next
	}
	*end = n
}

// remove empties a slot, which may be used again by the next value.
func (s *slab[V]) remove(n uint32) {
	k := s.at(n)
	at := s.head(k.hash)
	for *at != n {
		at = &s.at(*at).next
	}
	*at = k.next
	*k = slot[V]{next: s.free}
	s.free = n
	s.used--
}

// slots is the highest number of a slot, in use or not.
func (s *slab[V]) slots() uint32 { return uint32(len(s.chunks)) * chunkSlots }

// any returns the slot of some value; there is one.
func (s *slab[V]) any() uint32 {
	for start := rand.IntN(len(s.heads)); ; start++ {
		if n := s.heads[start&(len(s.heads)-1)]; n != 0 {
			return n
		}
	}
}

func (s *slab[V]) grow() {
	first := s.slots() + 1
	chunk := make([]slot[V], chunkSlots)
	for i := range chunk[1:] {
		chunk[i].next = first + uint32(i) + 1
	}
	s.chunks = append(s.chunks, chunk)
	s.free = first
}

// spread makes more chains of what there is.
func (s *slab[V]) spread(heads int) {
	old := s.heads
	s.heads = make([]uint32, heads)
	for _, n := range old {
		for n != 0 {
			k := s.at(n)
			next := k.next
			k.next = 0
			s.append(n)
			n = next
		}
	}
}
