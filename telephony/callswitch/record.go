package callswitch

import (
	"slices"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
)

// Record writes down the call as history tells it, over what stands there; the memory of its legs is used again.
func (c *Call) Record(r *telephony.CallRecord) {
	legs := slices.Grow(r.Legs[:0], max(2, len(c.Legs)))[:len(c.Legs)] // nearly all come to have two
	*r = telephony.CallRecord{Account: c.Account, ID: c.ID, Node: c.Node, Epoch: c.Epoch, State: telephony.CallRinging,
		Caller: c.Asked.Caller, CallerName: c.Asked.Name, Dialled: c.Asked.Dialled,
		StartedAt: c.Times.Started, AnsweredAt: c.Times.Answered, EndedAt: c.Times.Ended, Cause: c.Cause, Legs: legs}
	switch {
	case c.State >= states.Closing:
		r.State = telephony.CallEnded
	case !c.Times.Answered.IsZero():
		r.State = telephony.CallTalking
	}
	for i, l := range c.Legs {
		l.record(&legs[i])
	}
}

func (l *Leg) record(to *telephony.LegRecord) {
	*to = telephony.LegRecord{Leg: l.ID, AoR: l.Who.AoR, Instance: l.Way.Instance, Phone: l.Who.Name, Remote: l.remoteText(),
		SIPCallID: l.Dialog.CallID, StartedAt: l.Since.Started, AnsweredAt: l.Since.Answered, EndedAt: l.Since.Ended,
		Cause: l.Cause, Media: l.Media}
}
