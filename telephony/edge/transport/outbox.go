package transport

import (
	"cmp"
	"errors"
	"os"
	"sync"
)

// Outbox is what waits to be written to one peer, and a writer while there is something. Nobody waits for the peer: one
// that does not read is cut off.
type Outbox struct {
	OutboxConfig

	mu      sync.Mutex
	queue   *[]byte // nil: empty
	ends    []int
	writing bool
	corked  bool // the peer's own reader is at work and writes when it is done
	broken  bool // nothing more can be written
	closing bool // nothing more is taken
	writers sync.WaitGroup
}

// OutboxConfig says how an Outbox writes. It is set before anything is sent; Flush may come later, before the first Uncork.
type OutboxConfig struct {
	Flush func(b []byte, ends []int) error // writes whole messages; ends says where each stops
	Cut   func()                           // ends the connection
	Slow  func()                           // told when the peer is cut off for not reading
	Fault func(value any)                  // told of a panic
	Limit int                              // bytes that may wait; 256 KB when 0

	Buffers *Buffers // where queues come from while there is something to write
}

// maxQueue is what may wait for a slow peer; a phone's answers are far from it.
const maxQueue = 256 << 10

// Send queues one message and starts a writer if there is none.
func (o *Outbox) Send(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || o.closing {
		return
	}
	if o.queue == nil {
		o.queue = o.Buffers.Get()
		*o.queue = (*o.queue)[:0]
	}
	if len(*o.queue)+len(b) > cmp.Or(o.Limit, maxQueue) {
		o.broken = true
		o.Slow()
		o.Cut()
		return
	}
	*o.queue = append(*o.queue, b...)
	o.ends = append(o.ends, len(*o.queue))
	if !o.writing && !o.corked {
		o.writing = true
		o.writers.Go(o.write)
	}
}

// Cork lets what is sent from now on wait for Uncork. It is for the peer's own reader: most answers come while it still
// works on the request, and it may wait for its own peer.
func (o *Outbox) Cork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = true
}

// Uncork writes what has been sent since.
func (o *Outbox) Uncork() {
	o.mu.Lock()
	o.corked = false
	if o.writing || o.queue == nil || o.broken {
		o.mu.Unlock()
		return
	}
	o.writing = true
	o.writers.Add(1)
	o.mu.Unlock()
	defer o.writers.Done()
	o.write()
}

// write is the writer: it ends when the queue is empty.
func (o *Outbox) write() {
	var ends []int
	for {
		o.mu.Lock()
		out := o.queue
		o.queue, ends, o.ends = nil, o.ends, ends[:0]
		if out == nil || o.broken {
			o.writing = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		if err := o.flushed(*out, ends); err != nil {
			o.mu.Lock()
			o.broken = true
			o.mu.Unlock()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				o.Slow()
			}
			o.Cut()
		}
		o.Buffers.Put(out)
	}
}

// flushed writes; a panic on the way ends this one connection, like any other failure to write.
func (o *Outbox) flushed(b []byte, ends []int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			o.Fault(r)
			err = errWrite
		}
	}()
	return o.Flush(b, ends)
}

var errWrite = errors.New("transport: a fault while writing")

// Beside runs something for the peer that Finish waits for.
func (o *Outbox) Beside(do func()) { o.writers.Go(do) }

// Finish takes nothing more and waits until what was taken is written or lost.
func (o *Outbox) Finish() {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.writers.Wait()
}
