package callswitch

import (
	"strconv"
	"strings"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// finish ends a leg for people, once: its cause is kept, its media given back, and its dialog is taken to its end by the
// event. Final headers go with the response that refuses its INVITE.
func (t *turn) finish(l *Leg, cause telephony.Cause, e states.DialogEvent, final ...telephony.Header) {
	if l.open() {
		l.Cause, l.Since.Ended = cause, t.at
		l.Invite.Expires, l.Invite.Retry, l.Timer.Due, l.Part.LeaveBy = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		t.staysBehind(l)
		if l.Session.Media != 0 {
			t.do(t.spare.closes.put(Close{Leg: l.ID, Media: l.Session.Media}))
		}
	}
	t.move(l, e, final...)
}

// move takes a leg's dialog through its table, and sends what that asks for.
func (t *turn) move(l *Leg, e states.DialogEvent, final ...telephony.Header) {
	m := states.NextDialog(l.Ours, l.State, e)
	l.State = m.To
	switch m.Act {
	case states.SendCancel:
		if l.Invite.Ours == 0 { // it was never sent
			l.State = states.Terminated
			return
		}
		t.do(Cancel{Leg: l.ID, Tx: l.Invite.Ours, Reason: l.reason(l.Cause)})
	case states.SendAck:
		t.ack(l)
	case states.SendBye:
		t.bye(l)
	case states.SendBoth:
		t.ack(l)
		t.bye(l)
	case states.SendFinal:
		t.final(l, final...)
	}
	if (m.To == states.Ending || m.To == states.Terminated) && m.Act != states.SendFinal {
		t.dropPending(l)
	}
}

// dropPending answers a re-INVITE that is under way when its dialog ends (RFC 3261 §15.1.2).
func (t *turn) dropPending(l *Leg) {
	if tx := l.Invite.Theirs; tx != 0 {
		l.Invite.Theirs = 0
		t.reply(l, signal.Reply{Tx: tx, Status: 487})
	}
}

// final refuses the leg's INVITE.
func (t *turn) final(l *Leg, headers ...telephony.Header) {
	tx := l.Invite.Theirs
	if tx == 0 {
		return
	}
	l.Invite.Theirs = 0
	if value := l.reason(l.Cause); value != "" {
		headers = append(headers, telephony.Header{Name: "Reason", Value: value})
	}
	t.reply(l, signal.Reply{Tx: tx, Status: answerable(l.Cause), Headers: headers})
}

// answerable is the final response for a cause: what concerns only the leg between us and a device does not pass (401,
// 407, 421 …), nor does its 503, which would take this whole switch for overloaded (RFC 3261 §16.7 step 6).
func answerable(c telephony.Cause) int {
	code := c.Code
	switch {
	case c.Who == telephony.Callee && code == 503:
		return 500
	case c.Who == telephony.Network && code == 503:
		return 480
	case code < 300:
		return 487
	case code < 400, code == 401, code == 407, code == 430:
		return 480
	case c.Who != telephony.Switch && (code == 421 || code == 422 || code == 423 || code == 481 || code == 491 || code == 494):
		return 500
	}
	return code
}

// ack acknowledges a 2xx to the leg's last INVITE of ours.
func (t *turn) ack(l *Leg) {
	o := t.outgoing(l, "ACK", l.Invite.Seq)
	o.Tx = l.Invite.Ours
	t.do(o)
	l.Invite.Ours = 0
}

func (t *turn) bye(l *Leg) {
	o := t.start(l, "BYE")
	if value := l.reason(l.Cause); value != "" {
		o.Headers = append(o.Headers, telephony.Header{Name: "Reason", Value: value})
	}
	t.do(o)
}

// refused refuses a leg whose INVITE came in; the call ends with it when it has nobody else.
func (t *turn) refused(l *Leg, r Refusal, headers ...telephony.Header) {
	if r.RetryAfter > 0 {
		headers = append(headers, telephony.Header{Name: "Retry-After", Value: strconv.Itoa(r.RetryAfter)})
	}
	t.finish(l, r.Cause, states.Refuse, headers...)
	t.without(l, r.Cause)
	if t.State < states.Closing { // it was to come into the call, which goes on
		t.do(Note{AoR: l.Who.AoR, Cause: r.Cause, Text: "A call could not be taken over or joined."})
	}
}

// closeFor ends the call because the leg that called gets nobody.
func (t *turn) closeFor(r Refusal) {
	var headers []telephony.Header
	if r.RetryAfter > 0 {
		headers = []telephony.Header{{Name: "Retry-After", Value: strconv.Itoa(r.RetryAfter)}}
	}
	for _, l := range t.Legs {
		if l.open() && !l.Ours && l.State < states.Answered {
			t.finish(l, r.Cause, states.Refuse, headers...)
		}
	}
	t.close(r.Cause)
}

// close ends the call for people: every leg that is open gets the cause.
func (t *turn) close(cause telephony.Cause) {
	if t.Cause.Code == 0 {
		t.Cause, t.Times.Ended = cause, t.at
		t.noteFailure(cause)
	}
	t.Attempt = nil
	t.State = states.NextCall(t.State, states.Deserted)
	for _, l := range t.Legs {
		if l.open() && !l.Part.Moving { // that one is perhaps another call's by now: Adopted tells
			t.endReport(l, cause)
			t.finish(l, cause, states.Hang)
		}
	}
}

// noteFailure tells the timelines of both users why a call did not come about, or broke.
func (t *turn) noteFailure(cause telephony.Cause) {
	if !failure(cause) {
		return
	}
	t.do(Note{AoR: t.Asked.Caller, Cause: cause, Text: "A call to " + t.Asked.Dialled + " failed."})
	if callee := t.callee(); !callee.IsZero() && callee != t.Asked.Caller {
		t.do(Note{AoR: callee, Cause: cause, Text: "A call from " + t.Asked.Caller.String() + " failed."})
	}
}

// failure reports whether a cause is one that somebody should mend: not that people hang up, are busy, do not answer or do
// not want to.
func failure(c telephony.Cause) bool {
	switch {
	case c.Code < 300:
		return false
	case c.Code == 487:
		return c.Who == telephony.Network
	case c.Who == telephony.Callee:
		return c.Code != 480 && c.Code != 486 && c.Code != 600 && c.Code != 603
	}
	return true
}

// noteBranches tells the timeline of who was called which of his phones failed, though another one has answered.
func (t *turn) noteBranches(answered *Leg) {
	for _, l := range t.Legs {
		if l.Ours && l.Since.Answered.IsZero() && l.Who.AoR == answered.Who.AoR && failure(l.Cause) {
			t.do(Note{AoR: l.Who.AoR, Cause: l.Cause, Text: "A call from " + t.Asked.Caller.String() + " was answered, but not everywhere: the phone " +
				strings.TrimSpace(l.Who.Name+" "+l.Way.Flow.RemoteText()) + " failed."})
		}
	}
}

// callee is who was called last, or would have been if he had a phone.
func (t *turn) callee() telephony.AoR {
	for i := len(t.Legs) - 1; i >= 0; i-- {
		if t.Legs[i].Ours {
			return t.Legs[i].Who.AoR
		}
	}
	return t.wanted
}

// without goes on after a leg has ended: with those who are left, or not at all.
func (t *turn) without(gone *Leg, cause telephony.Cause) {
	if t.State >= states.Closing {
		return
	}
	if a := t.Attempt; a != nil {
		if gone.ID == a.For {
			t.close(cause)
			return
		}
		if gone.ID == a.Report {
			a.Report = 0
		}
		return
	}
	if t.tooFew() {
		t.close(cause)
		return
	}
	t.do(Record{})
}

// tooFew reports whether nobody is left to talk with.
func (t *turn) tooFew() bool {
	left := 0
	for _, l := range t.Legs {
		if l.open() && !l.Part.Aside {
			left++
		}
	}
	return left < 2
}

// hangup ends a leg or the call for somebody who is not in it.
func (t *turn) hangup(h Hangup) {
	if h.Leg == 0 {
		t.close(h.Cause)
		return
	}
	if l := t.Leg(h.Leg); l != nil && l.open() && !l.Part.Moving {
		if l.tried() {
			t.dropped(l, Refusal{Cause: h.Cause}, states.Hang)
			return
		}
		t.finish(l, h.Cause, states.Hang)
		t.without(l, h.Cause)
	}
}

// watchLag is by how much the media may count a silence longer than it lasts since the answer: it looks once a second.
const watchLag = 2 * time.Second

// noticed takes what the media of a leg tells.
func (t *turn) noticed(n Noticed) {
	l := t.Leg(n.Leg)
	if l == nil || !l.open() || l.Part.Moving || n.Event.ID != l.Session.Media {
		return
	}
	switch n.Event.Kind {
	case telephony.MediaStopped:
		early := t.at.Sub(l.Since.Answered) < n.Event.After-watchLag // a phone need not send before the answer; it is told again
		if l.talks() && !l.Session.Holds && t.State == states.Talking && !early {
			t.lose(l, telephony.Cause{Who: telephony.Network, Code: 408, Text: "No sound came from " + l.name() + " any more. " + n.Event.Text})
		}
	case telephony.SecurityFailed:
		cause := telephony.Cause{Who: telephony.Network, Code: 488, Text: "The media of " + l.name() + " could not be secured. " + n.Event.Text}
		if l.tried() && t.Attempt != nil {
			t.dropped(l, Refusal{Cause: cause}, states.Hang)
			return
		}
		t.lose(l, cause)
	case telephony.MediaExcess:
		t.do(Note{AoR: l.Who.AoR, Cause: telephony.Cause{Who: l.side(), Code: 200, Text: n.Event.Text}, Text: "A phone floods its call."})
	case telephony.MediaOneWay:
		t.do(Note{AoR: l.Who.AoR, Cause: telephony.Cause{Who: telephony.Network, Code: 200, Text: n.Event.Text}, Text: "A call has sound one way only."})
	}
}

// lose ends a leg whose media failed, and with it the call unless others still talk. Those of a call of two get the same cause.
func (t *turn) lose(l *Leg, cause telephony.Cause) {
	if len(t.group()) < 3 {
		t.close(cause)
		return
	}
	t.do(Note{AoR: l.Who.AoR, Cause: cause, Text: "A phone was taken out of a conference."})
	t.finish(l, cause, states.Hang)
	t.without(l, cause)
}

// name says for people whose leg it is.
func (l *Leg) name() string {
	if l.Who.AoR.IsZero() {
		return l.Who.Name
	}
	return l.Who.AoR.String()
}
