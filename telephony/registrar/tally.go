package registrar

import (
	"sync/atomic"

	"demarc/telephony/registration"
)

// Counters is a snapshot of what the registrar has done since it was made, and of what it holds.
type Counters struct {
	Registers      map[string]uint64 // REGISTER requests by outcome
	Bindings       int
	Panics         uint64 // faults of the program
	PushFaults     uint64 // phones that registered with push parameters that cannot be used
	Stranded       uint64 // phones of other nodes whose connection ended with their node
	DroppedChanges uint64 // feed rows given up while the store was away for long
	StoreAway      bool
}

type tally struct {
	registers [registration.Outcomes]atomic.Uint64
	dropped   atomic.Uint64
	push      atomic.Uint64
	panics    atomic.Uint64
	stranded  atomic.Uint64
}

func (t *tally) count(o registration.Outcome) { t.registers[o].Add(1) }

func (t *tally) snapshot() Counters {
	c := Counters{Registers: make(map[string]uint64, registration.Outcomes), DroppedChanges: t.dropped.Load(),
		PushFaults: t.push.Load(), Panics: t.panics.Load(), Stranded: t.stranded.Load()}
	for o := range registration.Outcomes {
		c.Registers[o.String()] = t.registers[o].Load()
	}
	return c
}
