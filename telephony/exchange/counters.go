package exchange

import "sync/atomic"

type counters struct {
	live, lasting                                        atomic.Int64
	begun, answered, refused, panics, unwritten, dropped atomic.Uint64
	orphans, fenced                                      atomic.Uint64
}

// Counters are what the metrics show.
type Counters struct {
	Live      int64  // calls now, those that are ending too
	Begun     uint64 // calls
	Answered  uint64 // calls
	Refused   uint64 // requests without room
	Panics    uint64 // calls that were ended by one
	Unwritten uint64 // attempts to write history that failed
	Dropped   uint64 // changes of history that were lost
	Orphans   uint64 // calls of nodes that did not come back, which were ended
	Fenced    uint64 // changes of history that came after another node had ended the call
}

// Counters returns the counts since the start.
func (x *Exchange) Counters() Counters {
	c := &x.count
	return Counters{Live: c.live.Load(), Begun: c.begun.Load(), Answered: c.answered.Load(), Refused: c.refused.Load(),
		Panics: c.panics.Load(), Unwritten: c.unwritten.Load(), Dropped: c.dropped.Load(),
		Orphans: c.orphans.Load(), Fenced: c.fenced.Load()}
}
