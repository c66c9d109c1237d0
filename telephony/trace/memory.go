package trace

// memory holds texts in blocks of one size. It is of bytes and numbers alone, so that the collector passes it by, and what is
// given back is used again, so that remembering leaves no garbage.
type memory struct {
	slabs [][]byte // made as they are needed
	next  []int32  // of each block: the one after it in its chain, or none
	free  int32    // begins the chain of unused ones
}

const (
	blockSize  = 1024 // bytes: two or three messages
	slabBlocks = 128
	none       = int32(-1)
)

// chain is a text that grows at its end and is forgotten from its beginning.
type chain struct {
	first, last int32 // blocks, or none
	blocks      int32
	begin, end  int32 // where it begins in the first block and ends in the last
}

// place is where a byte of a chain stands.
type place struct{ block, offset int32 }

func newMemory() memory { return memory{free: none} }

func emptyChain() chain { return chain{first: none, last: none} }

func (c *chain) beginning() place { return place{c.first, c.begin} }

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
	for n := first; n < first+slabBlocks; n++ {
		m.next = append(m.next, n+1)
	}
	m.next[first+slabBlocks-1] = none
	m.free = first
}

// approach fetches where size bytes more of a chain will stand, and where it begins, for the oldest may have to go. Nearly always that memory
// is in no cache, and touching it would wait for it; so it comes while the text is still being made.
func (m *memory) approach(c *chain, size int) {
	if c.first != none {
		prefetch(m.block(c.first)[c.begin : c.begin+1])
	}
	if c.last != none && c.end < blockSize {
		rest := m.block(c.last)[c.end:]
		prefetch(rest[:min(size, len(rest))])
		size -= len(rest)
	}
	if size > 0 && m.free != none {
		prefetch(m.block(m.free)[:min(size, blockSize)])
	}
}

// append appends text to a chain: what is written together stands together, and no block is begun before the last one is full.
func (m *memory) append(c *chain, text []byte) {
	for len(text) > 0 {
		if c.last == none || c.end == blockSize {
			m.lengthen(c)
		}
		n := copy(m.block(c.last)[c.end:], text)
		c.end += int32(n)
		text = text[n:]
	}
}

func (m *memory) lengthen(c *chain) {
	n := m.take()
	if c.last == none {
		c.first = n
	} else {
		m.next[c.last] = n
	}
	c.last, c.end = n, 0
	c.blocks++
}

// read appends size bytes of a chain to dst, and returns where the next ones stand.
func (m *memory) read(dst []byte, at place, size int) (text []byte, next place) {
	for {
		part := m.block(at.block)[at.offset:]
		if size < len(part) {
			return append(dst, part[:size]...), place{at.block, at.offset + int32(size)}
		}
		dst, size = append(dst, part...), size-len(part)
		at = place{m.next[at.block], 0}
		if size == 0 {
			return dst, at
		}
	}
}

// skip returns what stands size bytes further.
func (m *memory) skip(at place, size int) place {
	for at.offset += int32(size); at.offset >= blockSize; at.offset -= blockSize {
		at.block = m.next[at.block]
	}
	return at
}

// shorten forgets the first bytes of a chain, which has more than those.
func (m *memory) shorten(c *chain, size int) {
	for c.begin += int32(size); c.begin >= blockSize; c.begin -= blockSize {
		n := c.first
		c.first = m.next[n]
		m.next[n], m.free = m.free, n
		c.blocks--
	}
}

// give takes all blocks of a chain back.
func (m *memory) give(c *chain) {
	if c.last != none {
		m.next[c.last], m.free = m.free, c.first
	}
	*c = emptyChain()
}
