package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch/encoding"
)

// history writes calls to the store behind their back: what happened within a moment goes as one batch, and is tried
// again while the store is away. Workers keep what has changed until they are asked for it, so that of a call that is over by
// then nothing but its end is made and written.
type history struct {
	x       *Exchange
	wake    chan struct{}
	handed  chan []telephony.CallChange // by each worker, once asked
	unsaved atomic.Int64                // changed calls that no worker has handed over

	mu     sync.Mutex
	queue  []telephony.CallChange // of calls without a worker, or handed over
	flight int                    // how many are being written

	last int // how many changes came with the last beat; used by run alone
}

// An answered call, a change and an end are in the store within some 50 ms: they are kept for soon at least, and fetched every
// beat. Once many come with a beat they wait for a busy one, a quarter of a second in all: what a commit costs is shared by more of
// them, and fewer are written before they are over. A call that rings is not worth a write of its own before it has done so for a while.
// What a busy beat brings is one commit, which others on SQLite wait 20 ms for.
const (
	beat      = 33 * time.Millisecond
	busy      = 200 * time.Millisecond
	many      = 32
	soon      = 15 * time.Millisecond
	ringing   = 250 * time.Millisecond
	batch     = 1000
	firstWait = 100 * time.Millisecond // after a failure, doubled each time
	longWait  = 5 * time.Second
)

func newHistory(x *Exchange) *history { return &history{x: x, wake: make(chan struct{}, 1)} }

// add queues a change of a call that no worker has. When the store has been away for too long the oldest is dropped, and
// counted.
func (h *history) add(c telephony.CallChange) {
	h.mu.Lock()
	if len(h.queue) >= h.x.cfg.Limits.Changes {
		h.queue = h.queue[1:]
		h.x.count.dropped.Add(1)
	}
	h.queue = append(h.queue, c)
	h.mu.Unlock()
	h.ring()
}

func (h *history) ring() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// waiting counts the changes that are not written.
func (h *history) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queue) + h.flight + int(h.unsaved.Load())
}

// take returns the next batch.
func (h *history) take() []telephony.CallChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(batch, len(h.queue))
	changes := h.queue[:n:n]
	h.queue = h.queue[n:]
	h.flight = len(changes)
	return changes
}

func (h *history) run(ctx context.Context) {
	for {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
		wait := beat
		if h.last > many {
			wait = busy
		}
		if !pause(ctx, wait) || !h.gather(ctx) {
			return
		}
		for {
			changes := h.take()
			if len(changes) == 0 {
				break
			}
			h.write(ctx, changes)
			h.mu.Lock()
			h.flight = 0
			h.mu.Unlock()
		}
		if h.unsaved.Load() > 0 {
			h.ring()
		}
	}
}

// gather fetches what the workers have. It is false when the context ends.
func (h *history) gather(ctx context.Context) bool {
	for _, w := range h.x.workers {
		w.fetch.Store(true)
		w.ring()
	}
	h.last = 0
	for range h.x.workers {
		select {
		case changes := <-h.handed:
			h.last += len(changes)
			h.mu.Lock()
			if len(h.queue) == 0 {
				h.queue = changes // nearly always
			} else {
				h.queue = append(h.queue, changes...)
			}
			h.mu.Unlock()
			h.unsaved.Add(-int64(len(changes)))
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// write tries until the store takes the batch, or the exchange stops.
func (h *history) write(ctx context.Context, changes []telephony.CallChange) {
	wait := firstWait
	for {
		fenced, err := h.x.ports.History.Write(ctx, changes)
		if err == nil {
			h.fenced(fenced)
			return
		}
		h.x.count.unwritten.Add(1)
		h.x.log.Warn("the history of calls cannot be written, and is tried again", "calls", len(changes), "err", err)
		if !pause(ctx, wait) {
			h.x.count.dropped.Add(uint64(len(changes)))
			return
		}
		wait = min(2*wait, longWait)
	}
}

// fenced tells of calls that another node has ended in history while this one said nothing: they may go on, but what is told of
// them stays.
func (h *history) fenced(calls int) {
	if calls == 0 {
		return
	}
	h.x.count.fenced.Add(uint64(calls))
	h.x.log.Warn("another node has taken this one for lost and ended its calls in history: their own ends are not written", "calls", calls)
}

// pause waits; it is false when the context ends.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// keep notes that a call has changed, until the history fetches it. When the store has been away for too long the oldest is
// dropped, and counted.
func (w *worker) keep(r *running, wait time.Duration) {
	due := w.now.Add(wait)
	if r.kept {
		if due.Before(r.due) {
			r.due = due
		}
		return
	}
	h := w.x.history
	if len(w.unsaved) >= w.x.cfg.Limits.Changes {
		w.unsaved[0].kept = false
		w.unsaved = w.unsaved[1:]
		h.unsaved.Add(-1)
		w.x.count.dropped.Add(1)
	}
	r.kept, r.due = true, due
	w.unsaved = append(w.unsaved, r)
	if h.unsaved.Add(1) == 1 {
		h.ring()
	}
}

// hand gives the history what is due.
func (w *worker) hand() {
	all, now := w.unsaved, w.x.now()
	w.unsaved = w.saved[:0]
	changes := make([]telephony.CallChange, 0, len(all))
	for _, r := range all {
		if now.Before(r.due) {
			w.unsaved = append(w.unsaved, r)
			continue
		}
		r.kept = false
		changes = append(changes, w.change(r))
	}
	clear(all)
	w.saved = all
	w.x.history.handed <- changes // there is room for every worker's
}

// change is what is written of a call: with the state when it is answered and lasts, for only then could another node go on with it.
func (w *worker) change(r *running) (c telephony.CallChange) {
	defer w.caught(r)
	c.Record = r.seen.give()
	if c.Record.State == telephony.CallTalking && !r.over {
		w.state = encoding.Append(w.state[:0], r.call)
		c.State = account.Secret(w.state)
	}
	return c
}
