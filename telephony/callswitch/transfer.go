package callswitch

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// leaveAfter is how long a phone whose transfer succeeded may take to hang up by itself.
const leaveAfter = 4 * time.Second

// Replaces names a dialog as the phone knows it that has it with us (RFC 3891 §3): its Call-ID, our tag and its own.
type Replaces struct {
	CallID    string
	OurTag    string
	TheirTag  string
	EarlyOnly bool
}

// ParseReplaces reads the value of a Replaces or Join header in an INVITE to us. In a REFER's Refer-To the tags stand as the
// phone's peer, that is we, would use them: the same way round.
func ParseReplaces(value string) (Replaces, bool) {
	id, params, _ := strings.Cut(value, ";")
	r := Replaces{CallID: strings.TrimSpace(id)}
	ok := !strings.Contains(value, ",") // that would be two
	for part := range strings.SplitSeq(params, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(name) {
		case "to-tag":
			ok, r.OurTag = ok && r.OurTag == "", v
		case "from-tag":
			ok, r.TheirTag = ok && r.TheirTag == "", v
		case "early-only":
			r.EarlyOnly = true
		}
	}
	return r, ok && r.CallID != "" && r.OurTag != "" && r.TheirTag != ""
}

// referTarget reads a Refer-To: whom to call, and the dialog to be replaced there, if any.
func referTarget(value string) (uri string, replaces Replaces, attended, ok bool) {
	n, ok := wire.ParseNameAddr([]byte(value))
	if !ok {
		return "", Replaces{}, false, false
	}
	uri, query, _ := strings.Cut(telephony.WithoutPasswords(string(n.URI)), "?")
	if len(uri) > longestAddress {
		return "", Replaces{}, false, false
	}
	for param := range strings.SplitSeq(uri, ";") {
		if name, method, ok := strings.Cut(param, "="); ok && strings.EqualFold(name, "method") && !strings.EqualFold(method, "INVITE") {
			return "", Replaces{}, false, false
		}
	}
	for field := range strings.SplitSeq(query, "&") {
		name, v, _ := strings.Cut(field, "=")
		if !strings.EqualFold(name, "Replaces") {
			continue
		}
		plain, err := url.PathUnescape(v)
		if err != nil {
			return "", Replaces{}, false, false
		}
		replaces, ok = ParseReplaces(plain)
		return uri, replaces, true, ok
	}
	return uri, Replaces{}, false, true
}

// referred takes REFER: its sender transfers the one it talks with (RFC 3515, RFC 5589).
func (t *turn) referred(l *Leg, r *signal.Request) {
	uri, replaces, attended, ok := referTarget(r.Header("Refer-To"))
	other := t.farEnd(l)
	status := 202
	switch {
	case !ok || len(r.Values("Refer-To")) > 1: // RFC 3515 §2.4.1
		status = 400
	case l.State != states.Confirmed || l.Part.Refer.Open || t.transfers(l, other):
		status = 491
	case other == nil:
		status = 403 // there is nobody, or more than one, to be transferred
	}
	if status != 202 {
		t.noteTransfer(l, telephony.Cause{Who: telephony.Switch, Code: status, Text: refusedReferral[status]})
		t.reply(l, signal.Reply{Tx: r.Tx, Status: status, Headers: l.dialogHeaders()})
		return
	}
	answer := signal.Reply{Tx: r.Tx, Status: 202, Headers: l.dialogHeaders()}
	silent := strings.EqualFold(r.Header("Refer-Sub"), "false") // RFC 4488
	if silent {
		answer.Headers = append(answer.Headers, telephony.Header{Name: "Refer-Sub", Value: "false"})
	}
	t.reply(l, answer)
	l.Part.Refer = Refer{Seq: r.CSeq, Open: !silent}
	t.notify(l, 100, "Trying", false)
	if attended {
		t.do(Seek{Leg: l.ID, By: l.Who.AoR, Replaces: replaces})
		return
	}
	t.blind(l, other, uri)
}

// refusedReferral says why a REFER is refused.
var refusedReferral = map[int]string{
	400: "The phone does not say to whom (Refer-To), or by an address of more than 1024 bytes.",
	491: "Another transfer is under way, or the call is not answered yet.",
	403: "There is nobody, or more than one, to be transferred.",
}

// noteTransfer tells the timeline of who transfers why it did not come about.
func (t *turn) noteTransfer(l *Leg, cause telephony.Cause) {
	if failure(cause) {
		t.do(Note{AoR: l.Who.AoR, Cause: cause, Text: "A transfer failed."})
	}
}

// farEnd is the only other leg that talks with this one, or nil.
func (t *turn) farEnd(l *Leg) (other *Leg) {
	for _, o := range t.Legs {
		if o == l || !o.talks() {
			continue
		}
		if other != nil {
			return nil
		}
		other = o
	}
	return other
}

// transfers reports whether a transfer of one of two legs, or by one, is under way.
func (t *turn) transfers(l, other *Leg) bool {
	return t.Attempt != nil || l.going() || other != nil && other.going()
}

// blind has the other leg call somebody else, on the rights of who transfers.
func (t *turn) blind(l, other *Leg, uri string) {
	l.Part.Aside = true
	t.Attempt = &Attempt{For: other.ID, By: l.Who.AoR, Report: l.ID, Depth: 1}
	t.State = states.NextCall(t.State, states.Targeted)
	t.ask(Referred, uri, telephony.Cause{})
}

// transfer has the switch itself transfer, for a phone that cannot.
func (t *turn) transfer(x Transfer) {
	l := t.Leg(x.Leg)
	if l == nil || !l.open() {
		return
	}
	other := t.farEnd(l)
	switch {
	case l.State != states.Confirmed || t.transfers(l, other):
		t.noteTransfer(l, telephony.Cause{Who: telephony.Switch, Code: 491, Text: refusedReferral[491]})
	case other == nil:
		t.noteTransfer(l, telephony.Cause{Who: telephony.Switch, Code: 403, Text: refusedReferral[403]})
	default:
		t.blind(l, other, x.To)
	}
}

// reportProgress tells who transfers that the phone rings.
func (t *turn) reportProgress(status int) {
	if l := t.Leg(t.Attempt.Report); l != nil && l.open() && status >= 180 {
		t.notify(l, 180, "Ringing", false)
	}
}

// transferred ends a transfer that succeeded: who wanted it may go.
func (t *turn) transferred(a *Attempt, to *Leg) {
	l := t.Leg(a.Report)
	if l == nil || !l.open() {
		return
	}
	t.notify(l, 200, "OK", true)
	l.Part.LeaveBy = t.at.Add(leaveAfter)
}

// notTransferred goes on after a transfer that failed: who wanted it talks again with who was to go, if he is still there.
func (t *turn) notTransferred(a *Attempt, cause telephony.Cause) {
	l := t.Leg(a.Report)
	if l == nil || !l.open() { // he has left, or another phone has taken his place
		ends := t.tooFew()
		if failure(cause) && !(ends && (a.By == t.Asked.Caller || a.By == t.callee())) { // those two are told of the call's end
			t.do(Note{AoR: a.By, Cause: cause, Text: "A transfer failed."})
		}
		if ends {
			t.close(cause)
		}
		return
	}
	t.notify(l, cause.Code, cmp.Or(l.told(cause), noReach), true)
	t.noteTransfer(l, cause)
	l.Part.Aside = false
}

// noReach is what a phone reads where the cause is none of its business.
const noReach = "Not Reached"

// endReport closes the subscription of a REFER when its dialog or its call ends.
func (t *turn) endReport(l *Leg, cause telephony.Cause) {
	if l.Part.Refer.Open && l.State == states.Confirmed {
		t.notify(l, max(cause.Code, 200), cmp.Or(l.told(cause), noReach), true)
	}
}

// notify tells how far a transfer is (RFC 3515 §2.4.5).
func (t *turn) notify(l *Leg, code int, text string, last bool) {
	if !l.Part.Refer.Open || l.State != states.Confirmed {
		return
	}
	state := "active;expires=180"
	if last {
		state, l.Part.Refer.Open = "terminated;reason=noresource", false
	}
	o := t.start(l, "NOTIFY")
	o.Headers = append(o.Headers,
		telephony.Header{Name: "Contact", Value: "<" + l.Dialog.Contact + ">"},
		telephony.Header{Name: "Event", Value: "refer;id=" + strconv.FormatUint(uint64(l.Part.Refer.Seq), 10)},
		telephony.Header{Name: "Subscription-State", Value: state})
	o.ContentType = "message/sipfrag;version=2.0"
	o.Body = []byte("SIP/2.0 " + strconv.Itoa(code) + " " + quotable(text) + "\r\n")
	t.do(o)
}

// forwarded follows a 302: the called user's phone sends the call on, which is asked for anew on that user's rights.
func (t *turn) forwarded(l *Leg, r *signal.Response) bool {
	a := t.Attempt
	if a == nil || a.Asking || r.Contact == "" || len(r.Contact) > longestAddress || r.Status != 301 && r.Status != 302 {
		return false
	}
	to := telephony.WithoutPasswords(r.Contact)
	cause := telephony.Cause{Who: telephony.Callee, Code: r.Status, Text: "forwarded to " + to}
	t.finish(l, cause, states.Refuse)
	t.stopOthers(l, telephony.Cause{Who: telephony.Switch, Code: 200, Text: elsewhere})
	a.Waiting, a.Asleep, a.Until = nil, nil, time.Time{}
	if a.Depth++; a.Depth > maxDepth {
		a.Best = *refusal(482, telephony.Switch, "The call was forwarded too often: look for users who forward to each other.")
		t.unreached()
		return true
	}
	a.By = l.Who.AoR
	t.ask(Forwarded, to, cause)
	return true
}
