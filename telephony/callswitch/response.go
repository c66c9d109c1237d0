package callswitch

import (
	"cmp"
	"strings"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// response takes a response to a request of ours.
func (t *turn) response(l *Leg, r *signal.Response) {
	if !r.Local && r.Status != 430 {
		l.heard()
	}
	switch r.Method {
	case "INVITE":
		t.inviteResponse(l, r)
	case "BYE":
		if r.Status >= 200 {
			t.move(l, states.ByeDone)
		}
	case "UPDATE":
		t.updated(l, r)
	case "NOTIFY", "INFO":
		if r.Status == 481 && l.State == states.Confirmed && r.Method == "INFO" {
			t.departed(l, telephony.Cause{Who: l.side(), Code: 481, Text: "The phone does not know the call any more."})
		}
		if r.Status >= 300 && r.Method == "NOTIFY" {
			l.Part.Refer.Open = false
		}
	}
}

func (t *turn) inviteResponse(l *Leg, r *signal.Response) {
	switch {
	case r.Tx != l.Invite.Ours:
		if r.Status/100 == 2 && r.ToTag != l.Dialog.RemoteTag {
			t.unwanted(l, r)
		}
	case r.Status < 200:
		if l.State == states.Calling || l.State == states.Early {
			t.ringing(l, r)
		}
	case !l.Since.Answered.IsZero():
		t.reinvited(l, r)
	case r.Status < 300:
		t.answeredBy(l, r)
	default:
		t.notAnswered(l, r)
	}
}

// dialogFrom takes the far end of a dialog from a response.
func (l *Leg) dialogFrom(r *signal.Response) {
	l.responded()
	if r.Way.Flow.ID != 0 {
		l.Way = r.Way
	}
	l.peer(r.ToTag)
	l.Dialog.Routes = reversed(r.RecordRoute) // RFC 3261 §12.1.2: also when that is none
	if r.Contact != "" {
		l.Dialog.Target = r.Contact
	}
	if agent := r.Header("User-Agent"); agent != "" && l.Who.Name == "" {
		l.Who.Name = phoneName(agent)
	}
}

// peer takes the tag of the far end. Another one's requests have numbers of their own.
func (l *Leg) peer(tag string) {
	if l.Dialog.RemoteTag != tag {
		l.Dialog.RemoteTag, l.Dialog.RemoteSeq = tag, 0
	}
}

// ringing takes a provisional response to the first INVITE.
func (t *turn) ringing(l *Leg, r *signal.Response) {
	if r.Status == 100 || r.ToTag == "" {
		return
	}
	if l.Dialog.RemoteTag != r.ToTag && l.Session.State == states.Stable {
		t.rungBeside(l, r) // early media stays with the first one
		return
	}
	l.dialogFrom(r)
	l.Who.Allow = allowOf(&r.Message)
	again := l.State == states.Early
	t.move(l, states.Progress)
	refused := t.early(l, r)
	t.prack(l, r)
	if refused != nil {
		t.dropped(l, *refused, states.Hang)
		return
	}
	t.progress(l, r.Status, again)
}

// progress tells the caller that a phone rings: with early media from a sole phone, else without. What the phone says again is said again,
// for what was lost, and for proxies that would give up (RFC 3261 §13.3.1.1).
func (t *turn) progress(from *Leg, status int, again bool) {
	f := t.Leg(t.Attempt.For)
	if f == nil || f.Invite.Theirs == 0 || f.State > states.Early {
		t.reportProgress(status)
		return
	}
	r := signal.Reply{Tx: f.Invite.Theirs, Status: 180, Reliable: f.Invite.Reliable}
	early := from.Session.Early && f.Invite.Offered
	if early {
		r.Status = status
	}
	again = again && !f.Invite.Reliable && (early || f.Session.State != states.Stable)
	if f.State == states.Early && !again && !(early && f.Session.State != states.Stable) {
		return // told already
	}
	r.Headers = f.formingHeaders()
	describe := t.answerWith
	if f.offersFirst() {
		describe = t.offerWith
	}
	if early || f.offersFirst() {
		body, refusal := describe(f, from)
		if refusal != nil {
			t.closeFor(*refusal)
			return
		}
		r.ContentType, r.Body = "application/sdp", body
	}
	t.move(f, states.Progress)
	t.reply(f, r)
}

// answeredBy takes the first 2xx of a phone.
func (t *turn) answeredBy(l *Leg, r *signal.Response) {
	if l.Dialog.RemoteTag != r.ToTag && l.Session.State == states.Stable {
		l.Session.State, l.Session.Early = states.OfferSent, false // another phone behind the same target: its own answer counts
	}
	l.dialogFrom(r)
	l.Who.Allow = allowOf(&r.Message)
	wanted := l.State != states.Cancelling
	t.move(l, states.Accept)
	if !wanted {
		return
	}
	if r.Fault != "" {
		t.dropped(l, Refusal{Cause: broken(r)}, states.Hang)
		return
	}
	l.Since.Answered = t.at
	if l.Session.State == states.OfferSent {
		body := r.Body
		if len(body) == 0 {
			body = l.forkAnswer(r.ToTag)
		}
		if refusal := t.settled(l, body); refusal != nil {
			t.dropped(l, *refusal, states.Hang)
			return
		}
	}
	if l.Invite.Changed && l.Session.Security == sdp.DTLS { // it is offered that at once next time
		t.learn(l, sdp.DTLS)
	}
	l.Forks = nil
	t.timerAgreed(l, &r.Message)
	t.connect(l)
}

// broken says of a 2xx that it cannot be read: its dialog is confirmed, and ended at once.
func broken(r *signal.Response) telephony.Cause {
	return telephony.Cause{Who: telephony.Network, Code: 502, Text: r.Fault}
}

// unwanted ends a dialog that a further phone behind the same target has made (RFC 3261 §13.2.2.4).
func (t *turn) unwanted(l *Leg, r *signal.Response) {
	other := l.beside(r)
	other.Cause = telephony.Cause{Who: telephony.Switch, Code: 200, Text: elsewhere}
	other.Invite.Seq = r.CSeq
	other.Dialog.LocalSeq = max(l.Dialog.LocalSeq, r.CSeq) // above its PRACKs
	t.ack(other)
	t.bye(other)
}

// notAnswered takes a final response that refuses the first INVITE.
func (t *turn) notAnswered(l *Leg, r *signal.Response) {
	l.Invite.Ours = 0
	if l.State != states.Cancelling && t.again(l, r) {
		return
	}
	if !l.open() {
		t.move(l, states.Refuse)
		return
	}
	if r.Status/100 == 3 && t.forwarded(l, r) {
		return
	}
	t.failed(l, Refusal{Cause: l.causeOf(r), RetryAfter: retryAfter(r)})
}

// again sends the INVITE once more where the response says how (RFC 3261 §8.1.3.5).
func (t *turn) again(l *Leg, r *signal.Response) bool {
	switch {
	case r.Status == 421 && !l.Invite.Insists && strings.Contains(strings.ToLower(r.Header("Require")), "100rel"):
		l.Invite.Insists = true
	case r.Status == 422 && l.Timer.MinSE == 0: // once
		if !l.longer(&r.Message) {
			return false
		}
	case r.Status == 488, r.Status == 415:
		next, ok := l.Session.Terms.Next(l.Session.Security)
		if !ok {
			return false
		}
		l.Invite.Changed, l.Session.Security = true, next
	default:
		return false
	}
	l.State, l.Session.State, l.Forks = states.Calling, states.NoOffer, nil
	l.Dialog.Target, l.Dialog.Routes = cmp.Or(l.Way.Contact, l.Dialog.Target), pathOf(l.Way.Path)
	l.peer("")
	t.invite(l)
	return true
}

// causeOf says why a phone refused, in its own words where it has some.
func (l *Leg) causeOf(r *signal.Response) telephony.Cause {
	c := telephony.Cause{Who: l.side(), Code: r.Status, Text: r.Reason}
	switch {
	case r.Local:
		c.Who = telephony.Network
	case r.Status == 401 || r.Status == 407:
		c.Text = "The phone asks for a password: it is no phone of this kind, or it should take calls from its own server only."
	default:
		for _, name := range [...]string{"Warning", "Reason"} {
			if told := r.Header(name); told != "" {
				c.Text = strings.TrimSpace(c.Text + ". " + words(told))
			}
		}
	}
	return c
}

// side names the leg's far end in a cause.
func (l *Leg) side() telephony.Who {
	if l.Ours {
		return telephony.Callee
	}
	return telephony.Caller
}

func retryAfter(r *signal.Response) int {
	n, _ := number(r.Header("Retry-After"))
	return min(n, 3600)
}

// connect joins a leg that answered with who waits for it, and stops all others.
func (t *turn) connect(l *Leg) {
	a := t.Attempt
	t.Attempt = nil
	f := t.Leg(a.For)
	for _, other := range t.Legs {
		if other != l && other.tried() {
			t.finish(other, telephony.Cause{Who: telephony.Switch, Code: 200, Text: elsewhere}, states.Hang)
		}
	}
	t.noteBranches(l)
	t.State = states.NextCall(t.State, states.Connected)
	if f.Invite.Theirs != 0 && f.State <= states.Early {
		if refusal := t.accept(f, l); refusal != nil {
			t.Attempt = nil
			t.closeFor(*refusal)
			return
		}
	}
	if t.Times.Answered.IsZero() { // also where a leg that was answered elsewhere has taken the caller's place meanwhile
		t.Times.Answered = t.at
	}
	t.transferred(a, l)
	t.do(Record{})
}
