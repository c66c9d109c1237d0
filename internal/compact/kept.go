package compact

import (
	"encoding/binary"
	"unsafe"
)

// Kept is a text in memory of its own, behind its length: one word, where a string takes two. It prints as an address, so that
// no secret in it does. The zero value keeps nothing.
type Kept struct{ first *byte }

// Keep copies a text.
func Keep(text []byte) Kept {
	var room [binary.MaxVarintLen64]byte
	length := binary.AppendUvarint(room[:0], uint64(len(text)))
	b := make([]byte, len(length)+len(text))
	copy(b[copy(b, length):], text)
	return Kept{unsafe.SliceData(b)}
}

// Empty reports whether nothing is kept.
func (k Kept) Empty() bool { return k.first == nil }

// Text returns what is kept, which nobody writes to any more.
func (k Kept) Text() string {
	if k.first != nil && *k.first < 0x80 { // nearly always
		return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(k.first), 1)), int(*k.first))
	}
	return k.long()
}

func (k Kept) long() string {
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
