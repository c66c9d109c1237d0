package registrar

import (
	"encoding/binary"
	"unsafe"
)

// kept is a text in memory of its own, behind its length: one word, where a string takes two. It prints as an address, so that
// no secret in it does. The zero value keeps nothing.
type kept struct{ first *byte }

// keep copies a text.
func keep(text []byte) kept {
	var room [binary.MaxVarintLen64]byte
	length := binary.AppendUvarint(room[:0], uint64(len(text)))
	b := make([]byte, len(length)+len(text))
	copy(b[copy(b, length):], text)
	return kept{unsafe.SliceData(b)}
}

func (k kept) empty() bool { return k.first == nil }

// text returns what is kept, which nobody writes to any more.
func (k kept) text() string {
	if k.first != nil && *k.first < 0x80 { // nearly always
		return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(k.first), 1)), int(*k.first))
	}
	return k.long()
}

func (k kept) long() string {
	if k.first == nil {
		return ""
	}
	length, at := uint64(0), 0
	for last := byte(0x80); last >= 0x80; at++ {
		last = *(*byte)(unsafe.Add(unsafe.Pointer(k.first), at))
		length |= uint64(last&0x7f) << (7 * at)
	}
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(k.first), at)), length)
}

// shared keeps what many have in common once, under a number, for as long as somebody holds it. Reading does not change it.
type shared[V ownable[V]] struct {
	values  []holding[V]
	numbers map[V]uint32
	free    []uint32
}

// ownable values can be copied with texts of their own: theirs may be borrowed, or parts of long ones.
type ownable[V any] interface {
	comparable
	own() V
}

type holding[V any] struct {
	value V
	by    uint32 // how many
}

func newShared[V ownable[V]]() shared[V] { return shared[V]{numbers: make(map[V]uint32)} }

func (s *shared[V]) at(n uint32) *V { return &s.values[n].value }

// hold returns the number of a value, which is good until it is released as often.
func (s *shared[V]) hold(v V) uint32 {
	n, ok := s.numbers[v]
	if !ok {
		if last := len(s.free) - 1; last >= 0 {
			n, s.free = s.free[last], s.free[:last]
		} else {
			n = uint32(len(s.values))
			s.values = append(s.values, holding[V]{})
		}
		v = v.own()
		s.values[n].value, s.numbers[v] = v, n
	}
	s.values[n].by++
	return n
}

func (s *shared[V]) release(n uint32) {
	h := &s.values[n]
	if h.by--; h.by == 0 {
		delete(s.numbers, h.value)
		*h = holding[V]{}
		s.free = append(s.free, n)
	}
}
