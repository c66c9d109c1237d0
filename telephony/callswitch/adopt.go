package callswitch

import (
	"cmp"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// merge has the far end of a leg leave for another call, as soon as nothing is under way on it. It ends with Adopted.
func (t *turn) merge(m Merge) {
	l := t.Leg(m.Leg)
	if l == nil || !l.open() {
		return
	}
	other := t.farEnd(l)
	if other == nil || m.Call == t.ID || t.transfers(l, other) {
		t.mergeFailed(l, telephony.Cause{Who: telephony.Switch, Code: 491, Text: "The call cannot be handed over now: it has not exactly two phones."})
		return
	}
	other.Part.Into, other.Part.Asker = m.Into, l.ID
}

// release hands a leg over: until Adopted nothing is sent on it.
func (t *turn) release(l *Leg) {
	if !l.idle() {
		return
	}
	l.Part.Moving = true
	t.do(Release{Leg: l.ID, Into: l.Part.Into})
}

// adopted ends a handing over: the leg is no longer ours, or goes on here.
func (t *turn) adopted(a Adopted) {
	l := t.Leg(a.Leg)
	if l == nil {
		return
	}
	if !l.Part.Moving { // it was never released: what a REFER seeks is not here
		if a.Refused != nil {
			t.mergeFailed(l, a.Refused.Cause)
		}
		return
	}
	asker := t.Leg(l.Part.Asker)
	l.Part.Moving, l.Part.Into, l.Part.Asker = false, Into{}, 0
	if a.Refused != nil {
		if asker != nil {
			t.mergeFailed(asker, a.Refused.Cause)
		}
		if t.State >= states.Closing && l.open() { // its call has ended meanwhile
			t.finish(l, t.Cause, states.Hang)
		}
		return
	}
	cause := telephony.Cause{Who: telephony.Switch, Code: 200, Text: "transferred"}
	l.State, l.Cause, l.Since.Ended, l.Session.Media = states.Terminated, cause, t.at, 0
	if asker != nil && asker.open() {
		t.notify(asker, 200, "OK", true)
	}
	t.without(l, cause)
}

// going reports whether the leg is to leave for another call.
func (l *Leg) going() bool { return l.Part.Into.Call != "" }

// staysBehind tells who wanted a leg to go to another call that it has ended before.
func (t *turn) staysBehind(l *Leg) {
	if !l.going() {
		return
	}
	asker := t.Leg(l.Part.Asker)
	l.Part.Into, l.Part.Asker = Into{}, 0
	if asker != nil && asker.open() {
		t.mergeFailed(asker, telephony.Cause{Who: l.side(), Code: 481, Text: "The phone that was to be transferred has left the call before."})
	}
}

func (t *turn) mergeFailed(l *Leg, cause telephony.Cause) {
	t.notify(l, cause.Code, cmp.Or(l.told(cause), noReach), true)
	t.noteTransfer(l, cause)
}

// adopt takes a leg that another call has released: in the place of one of ours, or as one more.
func (t *turn) adopt(a Adopt) {
	old := t.Leg(a.Into.Leg)
	refuse := func(code int, text string) {
		t.do(Adoption{From: a.From, Was: a.Moved.ID, Refused: refusal(code, telephony.Switch, text)})
	}
	switch {
	case old == nil || !old.open() || old.Part.Moving || t.State >= states.Closing:
		refuse(481, "The other call has ended.")
		return
	case a.Account != t.Account || !old.is(a.Into):
		refuse(403, "The other call belongs to somebody else.")
		return
	case t.full():
		refuse(482, "The other call has had too many phones.")
		return
	case old.Ours && old.State < states.Answered:
		refuse(481, "The other phone has not answered.")
		return
	}
	was := a.Moved.ID
	l := t.add(t.at)
	id, since := l.ID, l.Since
	*l = *a.Moved
	l.ID, l.Since = id, since
	l.Since.Answered = t.at
	l.Part, l.Session.Hears = Part{}, Hears{}
	t.do(Adoption{From: a.From, Was: was, Leg: l.ID})
	t.State = t.joinState()
	if a.Into.Place {
		t.replace(old, l)
	}
	t.do(Record{})
}

// full reports whether no number is left for another leg.
func (c *Call) full() bool { return c.LastLeg >= 1<<legBits-1 }

// is reports whether the leg is the dialog that is meant, of the person who may say so. A phone names the dialog of its peer,
// which is one of ours the other way round, or its own.
func (l *Leg) is(i Into) bool {
	if !i.By.IsZero() && i.By != l.Who.AoR {
		return false
	}
	d, n := &l.Dialog, &i.Named
	return n.CallID == "" || n.CallID == d.CallID && n.OurTag == d.LocalTag && n.TheirTag == d.RemoteTag
}

// joinState is the call's state with one more leg that talks.
func (t *turn) joinState() states.Call {
	if t.Attempt != nil {
		return t.State
	}
	return states.NextCall(t.State, states.Connected)
}

// replace ends a leg whose place another one has taken.
func (t *turn) replace(old, l *Leg) {
	if a := t.Attempt; a != nil && a.For == old.ID {
		a.For = l.ID // it still rings: who is transferred waits now, and hears music
		t.State = states.NextCall(states.Talking, states.Targeted)
	}
	cause := telephony.Cause{Who: telephony.Switch, Code: 200, Text: "transferred"}
	t.endReport(old, cause)
	if old.State < states.Answered {
		cause.Code = 487
		t.finish(old, cause, states.Refuse)
		return
	}
	t.finish(old, cause, states.Hang)
}

// replacing begins a leg that takes another one's place, or joins it (Replaces, Join).
func (t *turn) replacing(r Replacing) {
	if t.full() {
		cause := telephony.Cause{Who: telephony.Switch, Code: 482, Text: "The call has had too many phones."}
		t.do(Note{AoR: r.Request.User, Cause: cause, Text: "A call could not be taken over or joined."})
		t.do(t.spare.replies.put(Reply{Reply: signal.Reply{Tx: r.Request.Tx, Status: cause.Code}}))
		return
	}
	l := t.called(r.Request)
	l.Part.Into = Into{Call: t.ID, Leg: r.Leg, Place: !r.Join, Named: r.Named}
	t.arrival = r.Request
	audio, _ := needed(r.Request)
	t.do(t.spare.prepares.put(Prepare{Leg: l.ID, Media: audio, Way: r.Request.Way}))
}

// stepIn answers such a leg: it is in the call at once.
func (t *turn) stepIn(l *Leg) {
	into := l.Part.Into
	l.Part.Into = Into{}
	old := t.Leg(into.Leg)
	if old != nil && !old.open() && old.is(into) { // it is known to have ended: RFC 3891 §3, RFC 3911 §4
		t.refusedIn(l, telephony.Cause{Who: telephony.Switch, Code: 603, Text: "The call that was to be taken over has ended before."})
		return
	}
	if old == nil || !old.open() || old.Part.Moving || t.State >= states.Closing || !into.Place && !old.talks() || !old.is(into) {
		t.refusedIn(l, telephony.Cause{Who: telephony.Switch, Code: 481, Text: "The call that was to be taken over has ended."})
		return
	}
	if into.Named.EarlyOnly && into.Place && !old.Since.Answered.IsZero() { // RFC 3891 §3
		t.refusedIn(l, telephony.Cause{Who: telephony.Switch, Code: 486, Text: "The call that was to be picked up is answered already."})
		return
	}
	with := t.partner(old)
	if old.Ours && old.State < states.Answered {
		t.pickUp(l)
		return
	}
	if old.State < states.Answered { // RFC 3891 §3: an early dialog that the far end began is not to be taken over
		t.refusedIn(l, telephony.Cause{Who: telephony.Switch, Code: 481, Text: "The call that was to be taken over is not answered."})
		return
	}
	if with == nil {
		with = old
	}
	if refused := t.accept(l, with); refused != nil {
		t.refusedIn(l, refused.Cause)
		return
	}
	t.State = t.joinState()
	if into.Place {
		t.replace(old, l)
	}
	t.do(Record{})
}

// partner is who talks with a leg.
func (t *turn) partner(l *Leg) *Leg {
	for _, o := range t.Legs {
		if o != l && o.talks() {
			return o
		}
	}
	return nil
}

// pickUp lets a phone answer a call that rings elsewhere: the new leg stands where the phone's own would.
func (t *turn) pickUp(l *Leg) {
	f := t.Leg(t.Attempt.For)
	if refused := t.accept(l, f); refused != nil {
		t.refusedIn(l, refused.Cause)
		return
	}
	t.connect(l)
}

// refusedIn refuses a leg that was to come into the call, which goes on as before.
func (t *turn) refusedIn(l *Leg, cause telephony.Cause) {
	t.do(Note{AoR: l.Who.AoR, Cause: cause, Text: "A call could not be taken over or joined."})
	t.finish(l, cause, states.Refuse)
}
