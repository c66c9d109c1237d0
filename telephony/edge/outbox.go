package edge

import (
	"cmp"
	"errors"
	"os"
	"sync"
)

// outbox is what waits to be written to one peer, and a writer while there is something. Nobody waits for the peer: one
// that does not read is cut off.
type outbox struct {
	flush func(b []byte, ends []int) error // writes whole messages; ends says where each stops
	cut   func()                           // ends the connection
	slow  func()                           // told when the peer is cut off for not reading
	fault func(value any)                  // told of a panic
	limit int                              // bytes that may wait; maxQueue when 0

	buffers *buffers // where queues come from while there is something to write

	mu      sync.Mutex
	queue   *[]byte // nil: empty
	ends    []int
	writing bool
	corked  bool // the peer's own reader is at work and writes when it is done
	broken  bool // nothing more can be written
	closing bool // nothing more is taken
	writers sync.WaitGroup
}

// maxQueue is what may wait for a slow peer; a phone's answers are far from it.
const maxQueue = 256 << 10

// send queues one message and starts a writer if there is none.
func (o *outbox) send(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || o.closing {
		return
	}
	if o.queue == nil {
		o.queue = o.buffers.get()
		*o.queue = (*o.queue)[:0]
	}
	if len(*o.queue)+len(b) > cmp.Or(o.limit, maxQueue) {
		o.broken = true
		o.slow()
		o.cut()
		return
	}
	*o.queue = append(*o.queue, b...)
	o.ends = append(o.ends, len(*o.queue))
	if !o.writing && !o.corked {
		o.writing = true
		o.writers.Go(o.write)
	}
}

// cork lets what is sent from now on wait for uncork. It is for the peer's own reader: most answers come while it still
// works on the request, and it may wait for its own peer.
func (o *outbox) cork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = true
}

// uncork writes what has been sent since.
func (o *outbox) uncork() {
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
func (o *outbox) write() {
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
				o.slow()
			}
			o.cut()
		}
		o.buffers.put(out)
	}
}

// flushed writes; a panic on the way ends this one connection, like any other failure to write.
func (o *outbox) flushed(b []byte, ends []int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			o.fault(r)
			err = errWrite
		}
	}()
	return o.flush(b, ends)
}

var errWrite = errors.New("edge: a fault while writing")

// finish takes nothing more and waits until what was taken is written or lost.
func (o *outbox) finish() {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.writers.Wait()
}
