package callswitch

import (
	"strings"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// request takes a request within a leg's dialog.
func (t *turn) request(l *Leg, r *signal.Request) {
	if refuse := t.mayNot(l, r); refuse != nil {
		t.reply(l, *refuse)
		return
	}
	l.Dialog.RemoteSeq = r.CSeq
	l.Ways = nil
	l.heard()
	if r.Way.Flow.Same(l.Way.Flow) {
		l.Way.Flow = r.Way.Flow
	} else {
		l.Way = r.Way
	}
	switch r.Method {
	case "INVITE":
		t.theirInvite(l, r)
	case "BYE":
		t.byeFrom(l, r)
	case "UPDATE":
		t.theirUpdate(l, r)
	case "PRACK":
		t.prackedWith(l, r)
	case "INFO":
		t.info(l, r)
	case "REFER":
		t.referred(l, r)
	case "OPTIONS", "NOTIFY":
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 200, Headers: l.dialogHeaders()})
	default:
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 405, Headers: []telephony.Header{{Name: "Allow", Value: allowed}}})
	}
}

// mayNot returns the refusal of a request that does not belong to the dialog, is out of order (RFC 3261 §12.2.2), or comes
// from somebody who has not proved to be the leg's user. A phone that has answered may ask for something before its 2xx has come, which
// may be lost and is sent again then: with 481 it would end the call (§12.2.1.2).
func (t *turn) mayNot(l *Leg, r *signal.Request) *signal.Reply {
	switch {
	case l.tried() && r.CallID == l.Dialog.CallID && r.FromTag != l.Dialog.RemoteTag && r.ToTag == l.Dialog.LocalTag && r.Method != "BYE":
		return &signal.Reply{Tx: r.Tx, Status: 500, Reason: "Your Answer Has Not Come Yet", Headers: []telephony.Header{{Name: "Retry-After", Value: "1"}}}
	case r.CallID != l.Dialog.CallID || r.FromTag != l.Dialog.RemoteTag || r.ToTag != l.Dialog.LocalTag:
		return &signal.Reply{Tx: r.Tx, Status: 481}
	case l.State == states.Terminated:
		return &signal.Reply{Tx: r.Tx, Status: 481}
	case !r.Way.Flow.Same(l.Way.Flow) && (r.User != l.Who.AoR || r.Account != t.Account || r.User.IsZero()):
		return &signal.Reply{Tx: r.Tx, Status: 407, Challenge: true}
	case l.Dialog.RemoteSeq != 0 && r.CSeq <= l.Dialog.RemoteSeq:
		return &signal.Reply{Tx: r.Tx, Status: 500, Reason: "CSeq Out Of Order"}
	case !l.open() && r.Method != "BYE":
		return &signal.Reply{Tx: r.Tx, Status: 481}
	}
	return nil
}

func (t *turn) byeFrom(l *Leg, r *signal.Request) {
	t.reply(l, signal.Reply{Tx: r.Tx, Status: 200})
	cause := telephony.Cause{Who: l.side(), Code: 200, Text: "hung up"}
	if l.State == states.Early || l.State == states.Calling {
		cause = telephony.Cause{Who: l.side(), Code: 487, Text: "The caller hung up before anybody answered."}
		if l.Ours {
			cause.Text = "The phone hung up before its answer came."
		}
	}
	if told := r.Header("Reason"); told != "" {
		cause.Text = "hung up (" + words(told) + ")"
	}
	t.departed(l, cause)
}

// departed ends a leg whose far end has gone by itself.
func (t *turn) departed(l *Leg, cause telephony.Cause) {
	if !l.open() {
		t.move(l, states.Depart)
		return
	}
	if l.tried() && t.Attempt != nil {
		t.dropped(l, Refusal{Cause: cause}, states.Depart)
		return
	}
	t.finish(l, cause, states.Depart)
	t.without(l, cause)
}

// theirUpdate takes UPDATE (RFC 3311): a refresh, or an offer that is answered at once.
func (t *turn) theirUpdate(l *Leg, r *signal.Request) {
	every, byUs, ok := t.timerAsked(l, &r.Message)
	if !ok {
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 422, Headers: []telephony.Header{{Name: "Min-SE", Value: "90"}}})
		return
	}
	answer := signal.Reply{Tx: r.Tx, Status: 200}
	if len(r.Body) > 0 {
		switch l.Session.State {
		case states.Stable:
		case states.OfferReceived, states.ReofferReceived: // RFC 3311 §5.2
			t.reply(l, signal.Reply{Tx: r.Tx, Status: 500, Headers: []telephony.Header{{Name: "Retry-After", Value: "2"}}})
			return
		default:
			t.reply(l, signal.Reply{Tx: r.Tx, Status: 491})
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
		answer.ContentType, answer.Body = "application/sdp", body
	}
	l.refreshed(r)
	t.timer(l, every, byUs)
	answer.Headers = append(l.dialogHeaders(), t.timerTold(l, true)...)
	t.reply(l, answer)
}

// info passes digits on (application/dtmf-relay) to a phone that takes INFO; anything else in it is nobody's business.
func (t *turn) info(l *Leg, r *signal.Request) {
	kind, _, _ := strings.Cut(r.ContentType, ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); kind {
	case "application/dtmf-relay", "application/dtmf":
	case "":
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 200})
		return
	default:
		t.reply(l, signal.Reply{Tx: r.Tx, Status: 415,
			Headers: []telephony.Header{{Name: "Accept", Value: "application/dtmf-relay, application/dtmf"}}})
		return
	}
	t.reply(l, signal.Reply{Tx: r.Tx, Status: 200})
	for _, other := range t.Legs {
		if other != l && other.talks() && !other.Part.Moving && other.State == states.Confirmed && other.Who.Allow.Info && len(r.Body) <= 256 {
			o := t.start(other, "INFO")
			o.ContentType, o.Body = kind, r.Body
			t.do(o)
		}
	}
}
