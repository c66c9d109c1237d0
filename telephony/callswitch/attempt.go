package callswitch

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// ringTime is how long phones ring when nobody says otherwise.
const ringTime = 2 * time.Minute

// routed tries the phones that were named, those with the highest q first.
func (t *turn) routed(r *Routed) {
	a := t.Attempt
	if a == nil || !a.Asking {
		return
	}
	a.Asking = false
	if r.Refused != nil {
		if a.Best.Code == 0 || r.Refused.Code != 0 {
			a.Best = *r.Refused
		}
		if a.By != t.Asked.Caller && a.Report == 0 && r.Refused.Code != 0 { // where somebody forwards to is his business
			a.Best.Who = telephony.Callee
			a.Best.Text = "The call was forwarded: " + a.Best.Text
		}
		if !r.Callee.IsZero() { // his timeline tells it too
			a.Callee = r.Callee
		}
		t.unreached()
		return
	}
	a.Callee, a.Until = r.Callee, t.at.Add(cmp.Or(r.Ring, ringTime))
	for _, target := range r.Targets {
		if len(target.Ways) == 0 {
			a.Asleep = append(a.Asleep, target)
			t.do(Wake{AoR: r.Callee, Target: target})
		} else {
			a.Waiting = append(a.Waiting, target)
		}
	}
	slices.SortStableFunc(a.Waiting, func(x, y signal.Target) int { return cmp.Compare(y.Q, x.Q) })
	t.State = states.NextCall(t.State, states.Targeted)
	t.do(Record{})
	t.further()
}

// further rings the next phones, or gives up on who was called when there are none.
func (t *turn) further() {
	a := t.Attempt
	if a == nil || a.Asking || t.branches() > 0 {
		return
	}
	if len(a.Waiting) > 0 {
		n := 1
		for n < len(a.Waiting) && a.Waiting[n].Q == a.Waiting[0].Q {
			n++
		}
		now := a.Waiting[:n]
		a.Waiting = a.Waiting[n:]
		for _, target := range now {
			t.branch(target)
		}
		return
	}
	if len(a.Asleep) > 0 {
		return
	}
	if a.Best.Code == 0 {
		a.Best = Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 480, Text: "No phone of the called user is registered."}}
	}
	if a.Depth++; a.Depth > maxDepth {
		a.Best = Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 482, Text: "The call was forwarded too often."}}
		t.unreached()
		return
	}
	t.ask(Failed, "sip:"+a.Callee.String(), a.Best.Cause)
}

// branches counts the phones that are being tried.
func (t *turn) branches() (n int) {
	for _, l := range t.Legs {
		if l.tried() {
			n++
		}
	}
	return n
}

// tried reports whether the leg is a phone that is being rung.
func (l *Leg) tried() bool {
	return l.Ours && l.open() && (l.State == states.Calling || l.State == states.Early)
}

// branch begins a leg to one phone.
func (t *turn) branch(target signal.Target) {
	if t.full() {
		t.Attempt.Best = Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 482, Text: "The call has had too many phones."}}
		return
	}
	way := target.Ways[0]
	l := t.add(t.at)
	l.Ours, l.Way, l.Ways, l.Who = true, way, target.Ways, Person{AoR: t.Attempt.Callee, Name: phoneName(target.Name)}
	l.Dialog.Target, l.Dialog.Routes = target.URI, pathOf(way.Path)
	l.Session.Terms.Secure = way.Flow.Transport.Secure()
	l.Session.Terms.Browser = way.Flow.Transport == telephony.WS || way.Flow.Transport == telephony.WSS
	t.do(t.spare.prepares.put(Prepare{Leg: l.ID, Ours: true, Media: true, Video: t.offeredVideo(), Way: way}))
}

// ring sends the INVITE of a leg that is prepared.
func (t *turn) ring(l *Leg, p *Prepared) {
	a := t.Attempt
	if a == nil || !l.open() {
		return
	}
	if p.Refused != nil {
		t.failed(l, *p.Refused)
		return
	}
	l.Dialog.Local = t.caller()
	l.Dialog.Remote = nameAddr("", a.Callee)
	if a.Callee.IsZero() {
		l.Dialog.Remote = "<" + l.Dialog.Target + ">"
	}
	l.Session.Security = l.Session.Terms.Security()
	t.invite(l)
}

// invite sends the leg's first INVITE, or sends it once more in another way.
func (t *turn) invite(l *Leg) {
	body, err := t.offer(l, Aim{Direction: t.callerDirection()}, t.codecsFor(l))
	if err != nil {
		t.failed(l, Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 488, Text: err.Error()}})
		return
	}
	o := t.start(l, "INVITE")
	o.ContentType, o.Body, o.Hops = "application/sdp", body, t.Asked.Hops
	o.Headers = append(o.Headers, l.dialogHeaders()...)
	if l.Invite.Insists {
		o.Headers = append(o.Headers, telephony.Header{Name: "Require", Value: "100rel"})
	}
	o.Headers = append(o.Headers, telephony.Header{Name: "Session-Expires", Value: strconv.Itoa(max(t.interval(), l.Timer.MinSE))},
		telephony.Header{Name: "Min-SE", Value: strconv.Itoa(max(minSE, l.Timer.MinSE))},
		telephony.Header{Name: depthHeader, Value: strconv.Itoa(t.Asked.Depth + 1)})
	o.Headers = append(o.Headers, t.Asked.Headers...)
	if by := t.Attempt.By; by != t.Asked.Caller || t.Attempt.Report != 0 && !t.hidden() {
		o.Headers = append(o.Headers, telephony.Header{Name: "Referred-By", Value: nameAddr("", by)})
	}
	l.Invite.Ours, l.Invite.Seq = o.Tx, l.Dialog.LocalSeq
	t.do(o)
}

// callerDirection is what a phone is offered when it is called: music alone for who calls while holding.
func (t *turn) callerDirection() sdp.Direction {
	if f := t.Leg(t.Attempt.For); f != nil && f.Session.Holds {
		return sdp.SendOnly
	}
	return sdp.SendRecv
}

// woken rings a phone that was asleep.
func (t *turn) woken(w Woken) {
	a := t.Attempt
	if a == nil || a.Asking || len(w.Target.Ways) == 0 || w.AoR != a.Callee || len(a.Asleep) == 0 {
		return
	}
	i := slices.IndexFunc(a.Asleep, func(s signal.Target) bool { return s.URI == w.Target.URI })
	if i < 0 {
		if t.knows(&w.Target) {
			return // it was there before: another phone has registered
		}
		i = 0 // it changed its Contact while it slept
	}
	a.Asleep = slices.Delete(a.Asleep, i, i+1)
	t.branch(w.Target)
}

// knows reports whether a phone was rung already, or is to be later.
func (t *turn) knows(target *signal.Target) bool {
	is := func(w *signal.Way) bool {
		return w.AoR == t.Attempt.Callee && (w.Instance != "" && telephony.SameInstance(w.Instance, target.Ways[0].Instance) || w.Contact != "" && w.Contact == target.Ways[0].Contact)
	}
	return slices.ContainsFunc(t.Legs, func(l *Leg) bool { return l.Ours && is(&l.Way) }) ||
		slices.ContainsFunc(t.Attempt.Waiting, func(s signal.Target) bool { return is(&s.Ways[0]) })
}

// failed ends a phone that was tried, and remembers why if nothing better is known.
func (t *turn) failed(l *Leg, r Refusal) { t.dropped(l, r, states.Refuse) }

// dropped takes a phone out of those that are tried, by what happened to its dialog.
func (t *turn) dropped(l *Leg, r Refusal, e states.DialogEvent) {
	t.finish(l, r.Cause, e)
	if a := t.Attempt; a != nil {
		if better(r.Code, a.Best.Code) {
			a.Best = r
		}
		if r.Code >= 600 {
			t.stopOthers(l, r.Cause)
			a.Waiting, a.Asleep = nil, nil
		}
		t.further()
	}
}

// better reports whether a final response is to be preferred to another (RFC 3261 §16.7 step 6): 6xx, then the lowest
// class; within it what tells the caller most.
func better(code, than int) bool {
	if than == 0 {
		return true
	}
	if code/100 != than/100 {
		return code >= 600 || than < 600 && code < than
	}
	return rank(code) < rank(than)
}

// rank puts the responses that the caller can do something about first, and those that only say that nothing was there
// last.
func rank(code int) int {
	switch code {
	case 415, 420, 484, 488:
		return 0
	case 486:
		return 1
	case 480, 487:
		return 3
	case 408, 404, 430:
		return 4
	}
	return 2
}

// stopOthers cancels every phone that is being tried but one.
func (t *turn) stopOthers(but *Leg, cause telephony.Cause) {
	for _, l := range t.Legs {
		if l != but && l.tried() {
			t.finish(l, cause, states.Hang)
		}
	}
}

// unanswered gives up on the phones that ring, and asks who comes next.
func (t *turn) unanswered() {
	a := t.Attempt
	rang := slices.ContainsFunc(t.Legs, func(l *Leg) bool { return l.tried() && l.State == states.Early })
	cause := telephony.Cause{Who: telephony.Callee, Code: 480, Text: "Nobody answered."}
	if !rang {
		cause = telephony.Cause{Who: telephony.Network, Code: 408, Text: "No phone of the called user responded in time."}
	}
	if better(cause.Code, a.Best.Code) {
		a.Best = Refusal{Cause: cause}
	}
	t.stopOthers(nil, cause)
	a.Until, a.Asleep, a.Waiting = time.Time{}, nil, nil
	t.further()
}

// unreached ends the attempt: nobody is left to be tried.
func (t *turn) unreached() {
	a := t.Attempt
	t.Attempt, t.wanted = nil, a.Callee
	best := a.Best
	if best.Code < 300 {
		best.Cause = telephony.Cause{Who: telephony.Callee, Code: 480, Text: "The called user cannot be reached."}
	}
	t.State = states.NextCall(t.State, states.Unreached)
	if f := t.Leg(a.For); t.State == states.Closing && f != nil && f.open() {
		t.closeFor(best)
		return
	}
	t.notTransferred(a, best.Cause)
}
