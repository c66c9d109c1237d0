package callswitch

import (
	"strconv"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Offers and answers in reliable provisional responses and their PRACKs (RFC 3262 §5, RFC 6337 §2). A phone that requires
// 100rel gets the answer to its offer in a reliable response; one that made no offer gets ours there, and answers in PRACK.
// Either is done before the 2xx, which then holds no description. A PRACK may hold a further offer.

// prack confirms a reliable provisional response of a phone (RFC 3262 §4). Which ones are new is known below: each is told once, and those
// of one dialog in their order.
func (t *turn) prack(l *Leg, r *signal.Response) {
	if r.RSeq == 0 {
		return
	}
	o := t.start(l, "PRACK")
	o.Headers = append(o.Headers, telephony.Header{Name: "RAck",
		Value: strconv.FormatUint(uint64(r.RSeq), 10) + " " + strconv.FormatUint(uint64(l.Invite.Seq), 10) + " INVITE"})
	t.do(o)
}

// beside is the dialog of a further phone behind the same target, as a leg that nobody keeps.
func (l *Leg) beside(r *signal.Response) *Leg {
	other := &Leg{ID: l.ID, Ours: true, Dialog: l.Dialog, Way: l.Way, Invite: Invite{Seq: l.Invite.Seq, Ours: r.Tx}}
	other.dialogFrom(r)
	return other
}

// Fork is what a further phone behind the same target has answered in a reliable provisional response.
type Fork struct {
	Tag    string
	Answer []byte
}

// mostForks bounds what one target can have us keep. Who is one more is not confirmed, and gives up after a while (RFC 3262 §3).
const mostForks = 4

// rungBeside confirms a reliable provisional response of a further phone behind the same target: it would give up without that, and with it
// perhaps the whole target. What it answers in it is kept for the case that it answers the call, for its 2xx says nothing of it then
// (RFC 3262 §5).
func (t *turn) rungBeside(l *Leg, r *signal.Response) {
	if r.RSeq == 0 {
		return
	}
	if len(r.Body) > 0 && isSDP(r.ContentType) && !l.forked(r.ToTag) {
		if len(l.Forks) == mostForks {
			return
		}
		l.Forks = append(l.Forks, Fork{r.ToTag, r.Body})
	}
	other := l.beside(r)
	t.prack(other, r)
	l.Dialog.LocalSeq = other.Dialog.LocalSeq
}

func (l *Leg) forked(tag string) bool { return len(l.forkAnswer(tag)) > 0 }

// forkAnswer is what a further phone has answered reliably, or nothing.
func (l *Leg) forkAnswer(tag string) []byte {
	for _, f := range l.Forks {
		if f.Tag == tag {
			return f.Answer
		}
	}
	return nil
}

// early takes the description of a provisional response. A reliable one is the answer, whoever else rings; another one only
// announces it, and counts where it decides what the caller hears: from a sole phone.
func (t *turn) early(l *Leg, r *signal.Response) *Refusal {
	sole := t.branches() == 1
	if len(r.Body) == 0 || l.Session.State != states.OfferSent || !isSDP(r.ContentType) || !sole && r.RSeq == 0 {
		return nil
	}
	refusal := t.settled(l, r.Body)
	l.Session.Early = refusal == nil && sole
	if r.RSeq == 0 {
		return nil // the final response may still hold another one
	}
	return refusal
}

// prackedWith takes a PRACK with a body: the answer to our offer, or an offer.
func (t *turn) prackedWith(l *Leg, r *signal.Request) {
	refuse := func(code int, headers ...telephony.Header) {
		t.reply(l, signal.Reply{Tx: r.Tx, Status: code, Headers: headers})
	}
	says, bad := unreadable(&r.Message)
	switch {
	case bad:
		refuse(415, says)
	case l.Session.State == states.OfferSent:
		refuse(200)
		if refused := t.settled(l, r.Body); refused != nil {
			t.unsettled(l, *refused)
		}
	case l.Session.State == states.Stable:
		body, refused := t.reoffered(l, r)
		if refused != nil {
			t.refuseChange(l, r, *refused)
			return
		}
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 200, ContentType: "application/sdp", Body: body})
	case l.Session.State == states.ReofferSent:
		refuse(491)
	default:
		refuse(500)
	}
}

// unsettled ends a leg whose answer in PRACK is none. Its INVITE may have been answered meanwhile.
func (t *turn) unsettled(l *Leg, r Refusal) {
	if l.State < states.Answered {
		t.refused(l, r)
		return
	}
	t.finish(l, r.Cause, states.Hang)
	t.without(l, r.Cause)
}

// prackMissing refuses an INVITE whose phone never confirmed that it heard of the ringing. A 2xx that waited for that was
// never sent.
func (t *turn) prackMissing(tx signal.TxID) {
	r := Refusal{Cause: telephony.Cause{Who: telephony.Network, Code: 504, Text: "The caller never confirmed that the call rings (PRACK)."}}
	if l := t.server(tx); l != nil {
		t.refused(l, r)
		return
	}
	l := t.unacked(tx)
	if l == nil {
		return
	}
	l.Invite.Last = 0
	t.reply(l, signal.Reply{Tx: tx, Status: r.Code})
	open := l.open()
	t.finish(l, r.Cause, states.Depart)
	if open {
		t.without(l, r.Cause)
	}
}

// offersFirst reports whether the leg's first reliable response has to hold our offer: its INVITE had none.
func (l *Leg) offersFirst() bool {
	return l.Invite.Reliable && !l.Invite.Offered && l.Session.State == states.NoOffer
}

// agreedEarly reports whether the leg's 2xx holds no description, because a reliable response before it did.
func (l *Leg) agreedEarly() bool {
	return l.Invite.Reliable && (l.Session.State == states.OfferSent || l.Session.State == states.Stable)
}

// earlyAim is what an offer in an early dialog is answered with: nobody holds yet.
var earlyAim = Aim{Direction: sdp.SendRecv}
