package callswitch

import "demarc/telephony"

// Record returns the call as history tells it.
func (c *Call) Record() *telephony.CallRecord {
	r := &telephony.CallRecord{Account: c.Account, ID: c.ID, Node: c.Node, Epoch: c.Epoch, State: telephony.CallRinging,
		Caller: c.Asked.Caller, CallerName: c.Asked.Name, Dialled: c.Asked.Dialled,
		StartedAt: c.Times.Started, AnsweredAt: c.Times.Answered, EndedAt: c.Times.Ended, Cause: c.Cause,
		Legs: make([]telephony.LegRecord, len(c.Legs))}
	switch {
	case c.State >= Closing:
		r.State = telephony.CallEnded
	case !c.Times.Answered.IsZero():
		r.State = telephony.CallTalking
	}
	for i, l := range c.Legs {
		l.record(&r.Legs[i])
	}
	return r
}

func (l *Leg) record(to *telephony.LegRecord) {
	*to = telephony.LegRecord{Leg: l.ID, AoR: l.Who.AoR, Instance: l.Way.Instance, Phone: l.Who.Name, Remote: l.Way.Flow.RemoteText(),
		SIPCallID: l.Dialog.CallID, StartedAt: l.Since.Started, AnsweredAt: l.Since.Answered, EndedAt: l.Since.Ended,
		Cause: l.Cause, Media: l.Media}
}
