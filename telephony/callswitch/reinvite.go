package callswitch

import (
	"slices"
	"strconv"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// reinvite sends an offer within the dialog.
func (t *turn) reinvite(l *Leg, body []byte) {
	o := t.start(l, "INVITE")
	o.ContentType, o.Body = "application/sdp", body
	o.Headers = append(o.Headers, l.dialogHeaders()...)
	o.Headers = append(o.Headers, t.timerTold(l, false)...)
	l.Invite.Ours, l.Invite.Seq = o.Tx, l.Dialog.LocalSeq
	t.do(o)
}

// reinvited takes the final response to a re-INVITE of ours.
func (t *turn) reinvited(l *Leg, r *signal.Response) {
	if r.Status < 300 {
		if r.Contact != "" { // the ACK goes there already (RFC 3261 §12.2.1.2)
			l.Dialog.Target = r.Contact
		}
		t.ack(l)
		switch {
		case !l.open():
		case r.Fault != "":
			t.finish(l, broken(r), states.Hang)
			t.without(l, broken(r))
		default:
			t.reagreed(l, r)
		}
		return
	}
	l.Invite.Ours = 0
	t.offerRefused(l)
	switch {
	case !l.open():
	case r.Status == 491:
		t.putOff(l, r, t.glare(l))
	case r.Status == 500 && (r.Header("Retry-After") != "" || l.overtaken()): // §14.2: it has one of its own under way
		t.putOff(l, r, max(time.Duration(retryAfter(r))*time.Second, t.glare(l)))
	case wayless(r):
		t.away(l, r)
	case r.Status == 408 || r.Status == 481 || r.Local: // RFC 3261 §12.2.1.2
		cause := l.causeOf(r)
		t.finish(l, cause, states.Hang)
		t.without(l, cause)
	case r.Status == 422 && l.longer(&r.Message):
		l.Session.Aim = l.Session.Was
	default:
		l.declined()
	}
}

// overtaken reports whether a later request of ours has been sent while the re-INVITE was under way. Over UDP the phone may have got that one
// first, and refuses what is older with 500 (§12.2.2), whatever it would have said of the offer.
func (l *Leg) overtaken() bool { return l.Dialog.LocalSeq != l.Invite.Seq }

// mostPatience is how long a phone that puts a re-INVITE off is left alone at most, whatever its Retry-After says: who has an INVITE of its
// own under way says 0 to 10 s (RFC 3261 §14.2), and a fault that lasts is worth another question after "several seconds" (§21.5.1). Until then
// a phone that should be on hold hears nothing, or a codec that it does not know.
//
// mostPutOff is how often in a row it may do so: 491 ends by itself after a few, for both sides wait by chance (§14.1).
const (
	mostPatience = 10 * time.Second
	mostPutOff   = 8
)

// putOff asks once more after a while, or no more where that has never helped.
func (t *turn) putOff(l *Leg, r *signal.Response, wait time.Duration) {
	if l.Invite.PutOff++; l.Invite.PutOff > mostPutOff {
		l.Invite.PutOff = 0
		t.do(Note{AoR: l.Who.AoR, Cause: l.causeOf(r), Text: "The phone put off a change of its call again and again, and is not asked any more."})
		l.declined()
		return
	}
	l.Session.Aim, l.Invite.Retry = l.Session.Was, t.at.Add(min(wait, mostPatience))
}

func (t *turn) reagreed(l *Leg, r *signal.Response) {
	aim, before := l.Session.Aim, l.codec()
	if refusal := t.settled(l, r.Body); refusal != nil {
		t.finish(l, refusal.Cause, states.Hang)
		t.without(l, refusal.Cause)
		return
	}
	l.Invite.PutOff = 0
	t.timerAgreed(l, &r.Message)
	switch {
	case aim.Music && before != l.codec():
		l.Session.Borrows = true
	case aim.Codec != "":
		l.Session.Borrows, l.Session.Refused = false, ""
	}
}

// declined remembers what the phone does not want to agree to, so that it is not asked again. Its direction is taken as
// told: whom it does not send to is ours to decide.
func (l *Leg) declined() {
	if l.Session.Aim.Music {
		l.Session.Deaf = true
	}
	if l.Session.Aim.Codec != "" {
		l.Session.Refused = l.Session.Aim.Codec
	}
}

// glare is how long to wait after 491 (RFC 3261 §14.1): who made the Call-ID waits longer.
func (t *turn) glare(l *Leg) time.Duration {
	steps := time.Duration(t.chance)
	if l.Ours {
		return 2100*time.Millisecond + steps%191*10*time.Millisecond
	}
	return steps % 201 * 10 * time.Millisecond
}

// theirInvite takes a re-INVITE.
func (t *turn) theirInvite(l *Leg, r *signal.Request) {
	every, byUs, ok := t.timerAsked(l, &r.Message)
	switch {
	case l.Invite.Theirs != 0: // §14.2
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 500,
			Headers: []telephony.Header{{Name: "Retry-After", Value: strconv.Itoa(int(t.chance % 11))}}})
		return
	case l.Invite.Ours != 0 || l.Session.State != states.Stable || l.State != states.Confirmed:
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 491})
		return
	case !ok:
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 422, Headers: []telephony.Header{{Name: "Min-SE", Value: "90"}}})
		return
	}
	if says, bad := unreadable(&r.Message); bad {
		t.refuseChange(l, r, *refusal(415, l.side(), notSDP), says)
		return
	}
	body, refused := t.reoffered(l, r)
	if refused != nil {
		t.refuseChange(l, r, *refused)
		return
	}
	l.refreshed(r)
	t.timer(l, every, byUs)
	l.Invite.Last = r.Tx
	t.reply(l, signal.Reply{Tx: r.Tx, Status: 200, Headers: append(l.dialogHeaders(), t.timerTold(l, true)...),
		ContentType: "application/sdp", Body: body})
}

// refuseChange refuses an offer within the dialog: what was agreed before stays.
func (t *turn) refuseChange(l *Leg, r *signal.Request, refused Refusal, says ...telephony.Header) {
	t.do(Note{AoR: l.Who.AoR, Cause: refused.Cause, Text: "The phone wanted to change a call, and was refused."})
	t.reply(l, signal.Reply{Tx: r.Tx, Status: refused.Code, Headers: append(l.dialogHeaders(), says...)})
}

// refreshed takes a new remote target (RFC 3261 §12.2.2) and the way that the phone uses now.
func (l *Leg) refreshed(r *signal.Request) {
	if r.Contact != "" {
		l.Dialog.Target = r.Contact
	}
}

// reoffered answers an offer within the dialog, or makes one when there is none. What concerns the phone alone (a refresh,
// another address, ICE) ends here; reconcile carries direction and codec across afterwards.
func (t *turn) reoffered(l *Leg, r *signal.Request) ([]byte, *Refusal) {
	if len(r.Body) == 0 {
		codecs := []sdp.Codec{l.Session.Side.Agreed.Audio.Codec}
		if !t.aim(l, t.group()).Music { // the offer may be for somebody else (RFC 3725): what the other phone can do too, and all phones can
			codecs = slices.Concat(codecs, t.otherCodecs(l), sdp.Music())
		}
		body, err := t.offer(l, l.Session.Aim, codecs)
		if err != nil {
			return nil, refusal(500, telephony.Switch, err.Error())
		}
		return body, nil
	}
	security, held := l.Session.Security, l.Session.Holds
	refused := t.received(l, r.Body)
	if refused == nil {
		var body []byte
		if body, refused = t.reanswer(l); refused == nil {
			return body, nil
		}
		t.offerRefused(l)
	}
	l.Session.Security, l.Session.Holds = security, held
	return nil, refused
}

// reanswer answers with the codec in use while the phone still offers it; else with one that the other phone knows too.
func (t *turn) reanswer(l *Leg) ([]byte, *Refusal) {
	aim := earlyAim
	if l.State >= states.Answered {
		aim = t.aim(l, t.group())
	}
	aim.Codec, aim.Music = "", false
	w := sdp.Wanted{Video: t.videoFor(l)}
	offered := l.Session.Offer.Audio()
	if offered == nil {
		return nil, refusal(488, telephony.Switch, "The offer has no audio.")
	}
	w.Codecs = keep(offered.Codecs, l.codec(), t.otherCodecs(l))
	before := l.codec()
	body, refused := t.answer(l, aim, w)
	if refused == nil {
		l.left(before)
	}
	return body, refused
}

// left notes that the phone itself has gone on from one codec to another. It is not asked back: the other phone follows.
func (l *Leg) left(codec string) {
	if l.codec() != codec {
		l.Session.Borrows, l.Session.Refused = false, codec
	}
}

// otherCodecs are what the far end of a call of two can do.
func (t *turn) otherCodecs(l *Leg) []sdp.Codec {
	if group := t.group(); len(group) == 2 {
		for _, o := range group {
			if o != l {
				return t.codecs(o)
			}
		}
	}
	return nil
}

// keep returns the one codec to answer with: the one in use, else the first that the other phone can do, else any.
func keep(offered []sdp.Codec, inUse string, other []sdp.Codec) []sdp.Codec {
	if i := codecIn(offered, inUse); i >= 0 {
		return offered[i : i+1]
	}
	for i, c := range offered {
		if codecIn(other, codecName(c)) >= 0 {
			return offered[i : i+1]
		}
	}
	return nil
}

func codecIn(all []sdp.Codec, name string) int {
	for i, c := range all {
		if codecName(c) == name {
			return i
		}
	}
	return -1
}
