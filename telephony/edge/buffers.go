package edge

import "sync"

// buffers keeps memory for messages under way, so that answering leaves no garbage.
type buffers struct{ pool sync.Pool }

// largestKept is how large a buffer is kept for the next message: nearly all answers are far smaller.
const largestKept = 8 << 10

func (b *buffers) get() *[]byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return kept
	}
	made := make([]byte, 0, 1<<10)
	return &made
}

// put takes a buffer back that nobody uses any more.
func (b *buffers) put(used *[]byte) {
	if cap(*used) <= largestKept {
		b.pool.Put(used)
	}
}
