package transport

import "sync"

// Buffers keeps memory for messages under way, so that answering leaves no garbage. The zero value is ready.
type Buffers struct{ pool sync.Pool }

// largestKept is how large a buffer is kept for the next message: nearly all answers are far smaller.
const largestKept = 8 << 10

// Get returns a buffer; what stands in it means nothing.
func (b *Buffers) Get() *[]byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return kept
	}
	made := make([]byte, 0, 1<<10)
	return &made
}

// Put takes a buffer back that nobody uses any more.
func (b *Buffers) Put(used *[]byte) {
	if cap(*used) <= largestKept {
		b.pool.Put(used)
	}
}
