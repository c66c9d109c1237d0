package callswitch

import (
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
)

// Spare is memory that one worker uses again: of calls that have ended and their legs, and of what steps say and are told.
type Spare struct {
	calls []*Call
	legs  []*Leg

	// commands
	sends    pile[Send]
	replies  pile[Reply]
	prepares pile[Prepare]
	routes   pile[Route]
	learns   pile[Learn]
	agrees   pile[Agree]
	closes   pile[Close]
	// facts
	prepared pile[Prepared]
	routed   pile[Routed]
	reported pile[Reported]
}

const mostSpare = 256 // legs, and calls

// memory is what a call uses again.
type memory struct {
	few    []*Leg      // of group
	common []sdp.Codec // of codecs
	spare  *Spare      // nil before the first step of a call that borrows nothing
}

// Call returns the call that an INVITE begins, as New does.
func (s *Spare) Call(acc account.ID, id telephony.CallID, node string, serial uint64) *Call {
	var c *Call
	if n := len(s.calls); n > 0 {
		c, s.calls = s.calls[n-1], s.calls[:n-1]
	} else {
		c = &Call{}
	}
	c.Account, c.ID, c.Node, c.serial, c.spare = acc, id, node, serial, s
	return c
}

// Borrow lets a call that was decoded use the memory too.
func (c *Call) Borrow(s *Spare) { c.spare = s }

// Return gives the memory of a call that has ended back, once nobody knows of it any more.
func (c *Call) Return() {
	s := c.spare
	if s == nil || c.State != states.Ended {
		return
	}
	for _, l := range c.Legs {
		if len(s.legs) < mostSpare {
			*l = Leg{}
			s.legs = append(s.legs, l)
		}
	}
	clear(c.Legs)
	clear(c.few[:cap(c.few)])
	clear(c.common[:cap(c.common)])
	if len(s.calls) < mostSpare {
		*c = Call{Legs: c.Legs[:0], memory: memory{few: c.few[:0], common: c.common[:0]}}
		s.calls = append(s.calls, c)
	}
}

// leg returns a leg of which nothing is known yet.
func (s *Spare) leg() *Leg {
	n := len(s.legs)
	if n == 0 {
		return &Leg{}
	}
	l := s.legs[n-1]
	s.legs = s.legs[:n-1]
	return l
}

// Prepared returns an answer to Prepare that is to be filled in.
func (s *Spare) Prepared() *Prepared { return s.prepared.next() }

// Routed returns an answer to Route that is to be filled in.
func (s *Spare) Routed() *Routed { return s.routed.next() }

// Reported returns an answer to Close that is to be filled in.
func (s *Spare) Reported() *Reported { return s.reported.next() }

// Clear forgets everything that steps have said and were told, once all of it is done.
func (s *Spare) Clear() {
	s.sends.clear()
	s.replies.clear()
	s.prepares.clear()
	s.routes.clear()
	s.learns.clear()
	s.agrees.clear()
	s.closes.clear()
	s.prepared.clear()
	s.routed.clear()
	s.reported.clear()
}

// pile is values of one kind, each in memory of its own that is used again.
type pile[T any] struct {
	all  []*T
	used int
}

// next returns a zero value.
func (p *pile[T]) next() *T {
	if p.used == len(p.all) {
		p.all = append(p.all, new(T))
	}
	p.used++
	return p.all[p.used-1]
}

// put returns a value in the pile's memory.
func (p *pile[T]) put(v T) *T {
	to := p.next()
	*to = v
	return to
}

// mostPiled is how many values a pile keeps the memory of: a turn says a few of each kind.
const mostPiled = 32

func (p *pile[T]) clear() {
	for _, v := range p.all[:p.used] {
		*v = *new(T)
	}
	p.used = 0
	if len(p.all) > mostPiled {
		clear(p.all[mostPiled:])
		p.all = p.all[:mostPiled]
	}
}

// borrowed sees to it that there is memory for what steps say.
func (c *Call) borrowed() {
	if c.spare == nil {
		c.spare = new(Spare)
	}
}
