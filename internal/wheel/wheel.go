// Package wheel fires the timers of many things by one clock. No compatibility promise.
package wheel

import (
	"sync"
	"time"
)

// Wheel runs the timers of many transactions or calls by one clock: setting and stopping one costs a few list operations, and
// nothing runs while there is none. A timer fires up to one tick late, never early.
type Wheel struct {
	// Fault is told of a panic in what a timer fires; nil: it is the process's end. It is set before the first timer.
	Fault func(value any)

	tick  time.Duration
	start time.Time

	mu     sync.Mutex
	slots  [wheelSlots]*Timer
	armed  int
	turned int64 // the last tick that was served
	clock  *time.Timer
	runs   bool // the clock
	closed bool

	serving sync.Mutex // held while timers fire
	due     []*Timer   // of one turn; whoever holds serving has it
}

// Timer is one place on a Wheel; it belongs to the thing that it is part of, and is not copied.
type Timer struct {
	Owner Owner

	next, prev *Timer
	at         int64 // the tick; 0: it is not set
}

// Owner is whose timer it is. Fire is called without a lock held. It may come once more after Stop or Set: the owner looks at the
// time.
type Owner interface{ Fire() }

const (
	wheelSlots = 1024
	minTick    = time.Millisecond
	maxTick    = 10 * time.Millisecond
)

// New returns a wheel whose tick is a fiftieth of the shortest time that its timers are set to, but at least 1 ms and at most 10.
func New(shortest time.Duration) *Wheel {
	return &Wheel{tick: min(maxTick, max(minTick, shortest/50)), start: time.Now()}
}

// Set lets the timer fire after d, instead of when it was set to before.
func (w *Wheel) Set(t *Timer, d time.Duration) { w.SetAt(t, w.Now()+d) }

// SetAt is Set with a time of the wheel's.
func (w *Wheel) SetAt(t *Timer, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.unlink(t)
	if !w.runs {
		w.run(int64(w.Now() / w.tick))
	}
	t.at = max(int64(at/w.tick), w.turned) + 1
	w.link(t)
}

// Now returns the wheel's time: since it was made.
func (w *Wheel) Now() time.Duration { return time.Since(w.start) }

// Stop lets the timer not fire.
func (w *Wheel) Stop(t *Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(t)
}

// Armed returns how many timers are set.
func (w *Wheel) Armed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.armed
}

// Close stops the wheel, and returns when no timer fires any more.
func (w *Wheel) Close() {
	w.mu.Lock()
	w.closed = true
	if w.clock != nil {
		w.clock.Stop()
	}
	w.mu.Unlock()
	w.serving.Lock() // waits for the turn that is under way
	defer w.serving.Unlock()
}

func (w *Wheel) link(t *Timer) {
	head := &w.slots[t.at%wheelSlots]
	t.prev, t.next = nil, *head
	if *head != nil {
		(*head).prev = t
	}
	*head = t
	w.armed++
}

func (w *Wheel) unlink(t *Timer) {
	if t.at == 0 {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.slots[t.at%wheelSlots] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.at = nil, nil, 0
	w.armed--
}

// run starts the clock. Ticks in which nothing was set are passed over.
func (w *Wheel) run(now int64) {
	w.turned, w.runs = max(w.turned, now), true
	if w.clock == nil {
		w.clock = time.AfterFunc(w.tick, w.turn)
		return
	}
	w.clock.Reset(w.tick)
}

// turn fires what is due, and lets the clock run on while something is set.
func (w *Wheel) turn() {
	w.serving.Lock()
	defer w.serving.Unlock()
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return
	}
	now := int64(w.Now() / w.tick)
	for i := max(w.turned+1, now-wheelSlots+1); i <= now; i++ {
		for t := w.slots[i%wheelSlots]; t != nil; {
			next := t.next
			if t.at <= now {
				w.unlink(t)
				w.due = append(w.due, t)
			}
			t = next
		}
	}
	w.turned = max(w.turned, now)
	if w.runs = w.armed > 0; w.runs {
		w.clock.Reset(w.tick)
	}
	w.mu.Unlock()
	for i, t := range w.due {
		w.due[i] = nil
		w.fire(t)
	}
	w.due = w.due[:0]
}

// fire ends with a panic of one timer that timer alone.
func (w *Wheel) fire(t *Timer) {
	if w.Fault != nil {
		defer func() {
			if r := recover(); r != nil {
				w.Fault(r)
			}
		}()
	}
	t.Owner.Fire()
}
