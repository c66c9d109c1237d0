package exchange

import (
	"slices"
	"sync"

	"demarc/telephony"
	"demarc/telephony/callswitch"
)

// snapshot is a call as history tells it, for those who ask. The call's worker writes it, in the same memory each time: records of
// short calls were a tenth of all garbage.
type snapshot struct {
	mu     sync.Mutex // taken by the worker to write, and by all others
	record telephony.CallRecord
	taken  bool // once
}

// take writes down how the call is now. It returns how it was before.
func (s *snapshot) take(c *callswitch.Call) (before telephony.CallState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.taken = s.record.State, true
	c.Record(&s.record)
	return before
}

// get returns a copy; false when the call has not begun.
func (s *snapshot) get() (telephony.CallRecord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.record
	r.Legs = slices.Clone(r.Legs)
	return r, s.taken
}

// give returns a copy for history. Of a call that has ended nobody asks for the legs any more: they are handed over.
func (s *snapshot) give() telephony.CallRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.record
	if r.State == telephony.CallEnded {
		s.record.Legs = nil
	} else {
		r.Legs = slices.Clone(r.Legs)
	}
	return r
}
