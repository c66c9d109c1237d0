package exchange

import (
	"time"

	"demarc/telephony/callswitch"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Memory is what an exchange knows of phones.
type Memory struct{ habits }

// NewMemory returns one that knows nobody.
func NewMemory() *Memory { return &Memory{newHabits()} }

// MaxHabits is how many phones are remembered at most.
const MaxHabits = maxHabits

// Learn keeps how a phone has offered.
func (h *Memory) Learn(w signal.Way, s sdp.Security) { h.learn("acc", w, s, time.Unix(1, 0)) }

// Of returns how the phone last offered.
func (h *Memory) Of(w signal.Way) sdp.Security { return h.of("acc", w) }

// Len counts the phones.
func (h *Memory) Len() int { return h.known.Len() }

// SetTimers sets the timer of a call some times, while it fires, and returns how often it has.
func (x *Exchange) SetTimers(times int) (fired int) {
	w := newWorker(x)
	r := &running{worker: w, call: callswitch.New("acc", "call", "n1", 1)}
	r.call.Attempt = &callswitch.Attempt{}
	for range times {
		w.now = time.Now()
		r.call.Attempt.Until = w.now.Add(time.Millisecond)
		w.set(r)
		time.Sleep(30 * time.Millisecond) // longer than a tick, and without a lock that would order the two
	}
	x.wheel.Stop(&r.timer)
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.inside)
}
