package callswitch

import (
	"strconv"

	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Offers and answers in reliable provisional responses and their PRACKs (RFC 3262 §5, RFC 6337 §2). A phone that requires
// 100rel gets the answer to its offer in a reliable response; one that made no offer gets ours there, and answers in PRACK.
// Either is done before the 2xx, which then holds no description. A PRACK may hold a further offer.

// prack confirms a reliable provisional response of a phone (RFC 3262 §4).
func (t *turn) prack(l *Leg, r *signal.Response) {
	if r.RSeq == 0 || r.RSeq <= l.Invite.RSeq {
		return
	}
	l.Invite.RSeq = r.RSeq
	o := t.start(l, "PRACK")
	o.Headers = append(o.Headers, telephony.Header{Name: "RAck",
		Value: strconv.FormatUint(uint64(r.RSeq), 10) + " " + strconv.FormatUint(uint64(l.Invite.Seq), 10) + " INVITE"})
	t.do(o)
}

// early takes the description of a provisional response. A reliable one is the answer, whoever else rings; another one only
// announces it, and counts where it decides what the caller hears: from a sole phone.
func (t *turn) early(l *Leg, r *signal.Response) *Refusal {
	sole := t.branches() == 1
	if len(r.Body) == 0 || l.Session.State != OfferSent || !isSDP(r.ContentType) || !sole && r.RSeq == 0 {
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
	switch {
	case !isSDP(r.ContentType):
		refuse(415, telephony.Header{Name: "Accept", Value: "application/sdp"})
	case l.Session.State == OfferSent:
		refuse(200)
		if refused := t.settled(l, r.Body); refused != nil {
			t.unsettled(l, *refused)
		}
	case l.Session.State == Stable:
		body, refused := t.reoffered(l, r)
		if refused != nil {
			t.refuseChange(l, r, *refused)
			return
		}
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 200, ContentType: "application/sdp", Body: body})
	case l.Session.State == ReofferSent:
		refuse(491)
	default:
		refuse(500)
	}
}

// unsettled ends a leg whose answer in PRACK is none. Its INVITE may have been answered meanwhile.
func (t *turn) unsettled(l *Leg, r Refusal) {
	if l.State < Answered {
		t.refused(l, r)
		return
	}
	t.finish(l, r.Cause, Hang)
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
	t.finish(l, r.Cause, Depart)
	if open {
		t.without(l, r.Cause)
	}
}

// offersFirst reports whether the leg's first reliable response has to hold our offer: its INVITE had none.
func (l *Leg) offersFirst() bool {
	return l.Invite.Reliable && !l.Invite.Offered && l.Session.State == NoOffer
}

// agreedEarly reports whether the leg's 2xx holds no description, because a reliable response before it did.
func (l *Leg) agreedEarly() bool {
	return l.Invite.Reliable && (l.Session.State == OfferSent || l.Session.State == Stable)
}

// earlyAim is what an offer in an early dialog is answered with: nobody holds yet.
var earlyAim = Aim{Direction: sdp.SendRecv}
