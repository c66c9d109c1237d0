package edge

import (
	"sync"

	"demarc/telephony/wire"
)

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

// message returns a message to scan into; it goes back to e.messages.
func (e *Edge) message() *wire.Message {
	if m, ok := e.messages.Get().(*wire.Message); ok {
		return m
	}
	return new(wire.Message)
}
