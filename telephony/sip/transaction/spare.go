package transaction

// spare is memory of messages to be used again.
type spare [][]byte

const (
	usualSize   = 1 << 10 // of a message, bytes
	largestKept = 4 << 10
)

// take returns an empty slice.
func (s *spare) take() []byte {
	n := len(*s)
	if n == 0 {
		return make([]byte, 0, usualSize)
	}
	b := (*s)[n-1]
	(*s)[n-1], *s = nil, (*s)[:n-1]
	return b
}

// give takes over the memory of a slice, which is nil then.
func (s *spare) give(b *[]byte) {
	if c := cap(*b); c >= usualSize && c <= largestKept && len(*s) < maxFree {
		*s = append(*s, (*b)[:0])
	}
	*b = nil
}
