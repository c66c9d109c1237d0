package callswitch

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// accept answers a leg's first INVITE with what another leg has agreed.
func (t *turn) accept(f, with *Leg) *Refusal {
	r := signal.Reply{Tx: f.Invite.Theirs, Status: 200, Headers: f.formingHeaders()}
	if !f.agreedEarly() {
		describe := t.offerWith
		if f.Invite.Offered {
			describe = t.answerWith
		}
		body, refusal := describe(f, with)
		if refusal != nil {
			return refusal
		}
		r.ContentType, r.Body = "application/sdp", body
	}
	r.Headers = append(r.Headers, t.timerTold(f, true)...)
	f.Invite.Last, f.Invite.Theirs = f.Invite.Theirs, 0
	f.Since.Answered, f.Invite.Expires = t.at, time.Time{}
	t.move(f, states.Accept)
	t.reply(f, r)
	return nil
}

// acked takes the ACK to a 2xx of ours, with the answer when the 2xx had an offer.
func (t *turn) acked(l *Leg, body []byte) {
	l.Invite.Last = 0
	if l.open() && (l.Session.State == states.OfferSent || l.Session.State == states.ReofferSent) {
		again, before := l.Session.State == states.ReofferSent, l.codec()
		if refusal := t.settled(l, body); refusal != nil {
			t.move(l, states.Acked)
			t.finish(l, refusal.Cause, states.Hang)
			t.without(l, refusal.Cause)
			return
		}
		l.Session.Holds = l.theirs().Holds() // it asked for our offer to say so in the answer
		if again {
			l.left(before)
		}
	}
	t.move(l, states.Acked)
}

// ackMissing ends a leg that never confirmed our 2xx (RFC 3261 §13.3.1.4).
func (t *turn) ackMissing(l *Leg) {
	l.Invite.Last = 0
	t.move(l, states.Acked)
	if !l.open() {
		return
	}
	cause := telephony.Cause{Who: telephony.Network, Code: 408, Text: "The phone never confirmed the answer (ACK)."}
	t.finish(l, cause, states.Hang)
	t.without(l, cause)
}
