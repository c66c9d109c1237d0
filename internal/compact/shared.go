package compact

// Shared keeps what many have in common once, under a number, for as long as somebody holds it. Reading does not change it.
type Shared[V Ownable[V]] struct {
	values  []holding[V]
	numbers map[V]uint32
	free    []uint32
}

// Ownable values can be copied with texts of their own: theirs may be borrowed, or parts of long ones.
type Ownable[V any] interface {
	comparable
	Own() V
}

type holding[V any] struct {
	value V
	by    uint32 // how many
}

// NewShared returns one that holds nothing.
func NewShared[V Ownable[V]]() Shared[V] { return Shared[V]{numbers: make(map[V]uint32)} }

// At returns the value of a number that somebody holds. It is not to be written to.
func (s *Shared[V]) At(n uint32) *V { return &s.values[n].value }

// Len returns how many different values are held.
func (s *Shared[V]) Len() int { return len(s.numbers) }

// Hold returns the number of a value, which is good until it is released as often.
func (s *Shared[V]) Hold(v V) uint32 {
	n, ok := s.numbers[v]
	if !ok {
		if last := len(s.free) - 1; last >= 0 {
			n, s.free = s.free[last], s.free[:last]
		} else {
			n = uint32(len(s.values))
			s.values = append(s.values, holding[V]{})
		}
		v = v.Own()
		s.values[n].value, s.numbers[v] = v, n
	}
	s.values[n].by++
	return n
}

// Release gives up one hold of a number.
func (s *Shared[V]) Release(n uint32) {
	h := &s.values[n]
	if h.by--; h.by == 0 {
		delete(s.numbers, h.value)
		*h = holding[V]{}
		s.free = append(s.free, n)
	}
}
