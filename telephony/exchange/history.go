package exchange

import (
	"context"
	"sync"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
)

// history writes calls to the store behind their back: what happened within a moment goes as one batch, and is tried
// again while the store is away.
type history struct {
	x    *Exchange
	wake chan struct{}

	mu     sync.Mutex
	queue  []telephony.CallChange
	flight int // how many are being written
}

const (
	behind    = 50 * time.Millisecond // how long a change may wait
	batch     = 500
	firstWait = 100 * time.Millisecond // after a failure, doubled each time
	longWait  = 5 * time.Second
)

func newHistory(x *Exchange) *history { return &history{x: x, wake: make(chan struct{}, 1)} }

// add queues a change. When the store has been away for too long the oldest is dropped, and counted.
func (h *history) add(c telephony.CallChange) {
	h.mu.Lock()
	if len(h.queue) >= h.x.cfg.Limits.Changes {
		h.queue = h.queue[1:]
		h.x.count.dropped.Add(1)
	}
	h.queue = append(h.queue, c)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// waiting counts the changes that are not written.
func (h *history) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queue) + h.flight
}

// take returns the next batch, the last change of each call alone.
func (h *history) take() []telephony.CallChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(batch, len(h.queue))
	changes := make([]telephony.CallChange, 0, n)
	at := make(map[telephony.CallID]int, n)
	for _, c := range h.queue[:n] {
		if i, ok := at[c.Record.ID]; ok {
			changes[i] = c
			continue
		}
		at[c.Record.ID] = len(changes)
		changes = append(changes, c)
	}
	clear(h.queue[:n])
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
		if !pause(ctx, behind/2) {
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
	}
}

// write tries until the store takes the batch, or the exchange stops.
func (h *history) write(ctx context.Context, changes []telephony.CallChange) {
	wait := firstWait
	for {
		err := h.x.ports.History.Write(ctx, changes)
		if err == nil {
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

// lost is the cause of calls whose node was away.
var lost = telephony.Cause{Who: telephony.Network, Code: 500, Text: "node lost: the server that had the call was restarted"}

// claim ends the calls that this node had when it went down: their phones get BYE where they can be reached, and their
// history its end.
func (x *Exchange) claim(ctx context.Context) {
	wait := firstWait
	for {
		open, err := x.ports.History.Open(ctx, x.cfg.Node)
		if err == nil {
			for _, c := range open {
				x.reclaim(c)
			}
			return
		}
		x.log.Warn("the calls of before the restart are not known yet", "err", err)
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, longWait)
	}
}

// reclaim ends one call of before.
func (x *Exchange) reclaim(c telephony.CallChange) {
	if _, here := x.tables.calls.get(c.Record.ID); here {
		return // it began since
	}
	call, err := callswitch.Decode(c.State)
	if c.State == "" { // it was ringing: its callers have given up by now
		x.history.add(telephony.CallChange{Record: closed(c.Record, x.now())})
		return
	}
	if err != nil {
		x.log.Warn("a call of before the restart is closed without BYE", "call", string(c.Record.ID), "err", err)
		x.history.add(telephony.CallChange{Record: closed(c.Record, x.now())})
		return
	}
	serial := x.serial.Add(1)
	call.Bind(x.cfg.Node, serial)
	r := &running{worker: x.workers[serial%uint64(len(x.workers))], serial: serial, account: call.Account, call: call}
	x.register(r)
	x.count.live.Add(1)
	r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Lost{Cause: lost}}})
}

// closed is the record of a call that ended with its node.
func closed(r telephony.CallRecord, at time.Time) telephony.CallRecord {
	r.State, r.EndedAt, r.Cause = telephony.CallEnded, at, lost
	for i := range r.Legs {
		if r.Legs[i].EndedAt.IsZero() {
			r.Legs[i].EndedAt, r.Legs[i].Cause = at, lost
		}
	}
	return r
}
