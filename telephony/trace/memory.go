package trace

// memory holds records in blocks of one size. It is of bytes and numbers alone, so that the collector passes it by, and what is
// given back is used again, so that remembering leaves no garbage.
type memory struct {
	slabs [][]byte // made as they are needed
	next  []int32  // of each block: the one after it in its chain, or none
	count []uint16 // of each block that a record begins in: how many the record has
	free  int32    // begins the chain of unused ones
}

const (
	blockSize  = 512 // bytes: most messages take one or two
	slabBlocks = 128
	none       = int32(-1)
)

func newMemory() memory { return memory{free: none} }

func (m *memory) block(n int32) []byte {
	slab := m.slabs[n/slabBlocks]
	start := int(n%slabBlocks) * blockSize
	return slab[start : start+blockSize : start+blockSize]
}

// take returns an unused block.
func (m *memory) take() int32 {
	if m.free == none {
		m.grow()
	}
	n := m.free
	m.free, m.next[n] = m.next[n], none
	return n
}

func (m *memory) grow() {
	first := int32(len(m.next))
	m.slabs = append(m.slabs, make([]byte, slabBlocks*blockSize))
	m.count = append(m.count, make([]uint16, slabBlocks)...)
	for n := first; n < first+slabBlocks; n++ {
		m.next = append(m.next, n+1)
	}
	m.next[first+slabBlocks-1] = none
	m.free = first
}

// put stores text in a chain of blocks, at least one, and returns its ends and its length.
func (m *memory) put(text []byte) (first, last int32, blocks int) {
	first = m.take()
	last, blocks = first, 1
	for text = text[copy(m.block(last), text):]; len(text) > 0; blocks++ {
		n := m.take()
		m.next[last], last = n, n
		text = text[copy(m.block(n), text):]
	}
	m.count[first] = uint16(blocks) // records are cut long before that overflows
	return first, last, blocks
}

// append appends size bytes of a chain to dst, and returns what comes after their blocks.
func (m *memory) append(dst []byte, first int32, size int) (text []byte, after int32) {
	for at := first; ; at = m.next[at] {
		part := m.block(at)
		part = part[:min(size, len(part))]
		dst, size = append(dst, part...), size-len(part)
		if size == 0 {
			return dst, m.next[at]
		}
	}
}

// give takes a chain back.
func (m *memory) give(first, last int32) {
	m.next[last], m.free = m.free, first
}
