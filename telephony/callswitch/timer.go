package callswitch

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// timerAsked reads what a request that came in says of session timers (RFC 4028 §9): it holds once the request is granted. ok is
// false when the interval is smaller than we bear.
func (t *turn) timerAsked(l *Leg, m *signal.Message) (every int, byUs, ok bool) {
	asked := m.Header("Session-Expires")
	knows := m.Has("Supported", "timer")
	l.Who.Allow.Timer = l.Who.Allow.Timer || knows
	every, ok = number(asked)
	if asked != "" && (!ok || every < minSE) {
		if knows || !ok {
			return 0, false, false
		}
		every = minSE // who does not know the timer cannot be told with 422 (§8)
	}
	least, _ := number(m.Header("Min-SE"))
	if asked == "" {
		every = max(t.interval(), least)
	}
	every = min(every, t.longest(least))
	// Whoever asks without saying who is to refresh does it himself; who does not ask, is refreshed by us.
	return every, asked == "" || !knows || refresher(asked) == "uas", true
}

// interval is the session interval that is asked for.
func (c *Call) interval() int { return cmp.Or(c.Interval, sessionExpires) }

// timerAgreed takes what a 2xx says of session timers (§7.2). A phone that knows none is refreshed all the same: that is
// how a phone is noticed that went away in silence.
func (t *turn) timerAgreed(l *Leg, m *signal.Message) {
	told := m.Header("Session-Expires")
	every, ok := number(told)
	if !ok || every < 2 {
		t.timer(l, max(t.interval(), l.Timer.MinSE), true)
		return
	}
	t.timer(l, min(every, t.longest(l.Timer.MinSE)), refresher(told) != "uas")
}

// longest is the longest interval that is agreed to, in seconds: what we ask for, or the least that a phone bears, up to a day (RFC 4028 §9
// lets us shorten what is asked for to that). A phone that is gone would be missed after that alone where it is on hold.
func (c *Call) longest(least int) int { return max(c.interval(), minSE, min(least, 24*3600)) }

func refresher(value string) string {
	for part := range strings.SplitSeq(value, ";") {
		if name, who, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(name, "refresher") {
			return strings.ToLower(who)
		}
	}
	return ""
}

// timer sets when the session is refreshed by us, or given up because the phone has not (§10).
func (t *turn) timer(l *Leg, every int, byUs bool) {
	l.Timer.Every, l.Timer.We = every, byUs
	wait := time.Duration(every) * time.Second
	l.Timer.Ends = t.at.Add(wait)
	if byUs {
		l.Timer.Due = t.at.Add(wait / 2)
	} else {
		l.Timer.Due = t.at.Add(wait - min(32*time.Second, wait/3))
	}
}

// timerTold is the Session-Expires of a request of ours, or of a 2xx.
func (t *turn) timerTold(l *Leg, inResponse bool) []telephony.Header {
	if l.Timer.Every == 0 || !l.Who.Allow.Timer {
		return nil
	}
	who := "uac"
	if l.Timer.We == inResponse {
		who = "uas"
	}
	headers := []telephony.Header{{Name: "Session-Expires", Value: strconv.Itoa(l.Timer.Every) + ";refresher=" + who}}
	switch {
	case inResponse && who == "uac": // §9
		headers = append(headers, telephony.Header{Name: "Require", Value: "timer"})
	case !inResponse && l.Timer.MinSE > 0: // §7.4
		headers = append(headers, telephony.Header{Name: "Min-SE", Value: strconv.Itoa(l.Timer.MinSE)})
	}
	return headers
}

// timerDue refreshes a session, or ends the leg whose phone has not.
func (t *turn) timerDue(l *Leg) {
	switch {
	case l.State != states.Confirmed:
		l.Timer.Due = t.at.Add(time.Minute)
	case !l.Timer.We:
		cause := telephony.Cause{Who: telephony.Network, Code: 408, Text: "The phone did not refresh the session in time."}
		t.finish(l, cause, states.Hang)
		t.without(l, cause)
	case !l.idle():
		l.Timer.Due = t.at.Add(5 * time.Second)
	default:
		t.refresh(l)
	}
}

// refresh sends an UPDATE without a body, or a re-INVITE that changes nothing. One that fails is repeated well before the phone takes
// the session for over; the 2xx says when the next one is due.
func (t *turn) refresh(l *Leg) {
	l.Timer.Due = t.at.Add(max(time.Duration(l.Timer.Every)*time.Second/6, 5*time.Second))
	if l.Who.Allow.Update {
		l.Timer.Update = true
		o := t.start(l, "UPDATE")
		o.Headers = append(o.Headers, l.dialogHeaders()...)
		o.Headers = append(o.Headers, t.timerTold(l, false)...)
		t.do(o)
		return
	}
	if !l.said() {
		t.repeat(l)
		return
	}
	if state, ok := states.NextOffer(l.Session.State, states.WeOffer); ok {
		l.Session.State, l.Session.Was = state, l.Session.Aim
		t.reinvite(l, l.Session.Side.Last)
	}
}

// said reports whether what we wrote last still allows what is agreed: an offer that was refused does not.
func (l *Leg) said() bool {
	agreed := &l.Session.Side.Agreed.Audio
	ours, err := sdp.Parse(l.Session.Side.Last)
	if err != nil {
		return false
	}
	audio := ours.Audio()
	return audio.Offers(agreed.Codec) && audio.Direction.And(agreed.Direction) == agreed.Direction
}

// repeat offers what is agreed already. What we aim at stays.
func (t *turn) repeat(l *Leg) {
	agreed, aim := &l.Session.Side.Agreed.Audio, l.Session.Aim
	body, err := t.offer(l, Aim{Direction: agreed.Direction}, []sdp.Codec{agreed.Codec})
	l.Session.Aim = aim
	if err == nil {
		t.reinvite(l, body)
	}
}

// updated takes the response to our refresh by UPDATE.
func (t *turn) updated(l *Leg, r *signal.Response) {
	if r.Status < 200 {
		return
	}
	l.Timer.Update = false
	switch {
	case !l.open():
	case r.Status < 300:
		t.timerAgreed(l, &r.Message)
	case wayless(r):
		if l.Timer.over(t.at) { // else it is asked again when the next refresh is due
			t.unreachable(l, r)
		}
	case r.Status == 408 || r.Status == 481 || r.Local:
		cause := l.causeOf(r)
		t.finish(l, cause, states.Hang)
		t.without(l, cause)
	case r.Status == 405 || r.Status == 501:
		l.Who.Allow.Update = false
	case r.Status == 422:
		l.longer(&r.Message)
	}
}

// longer takes what a 422 wants (RFC 4028 §7.4): a longer interval. It is false when that is nothing new, or senseless.
func (l *Leg) longer(m *signal.Message) bool {
	const most = 24 * 3600 // seconds
	least, ok := number(m.Header("Min-SE"))
	if least = max(least, minSE); !ok || least > most || least <= l.Timer.MinSE {
		return false
	}
	l.Timer.MinSE, l.Timer.Every = least, max(l.Timer.Every, least)
	return true
}

// tick does what the time has come for.
func (t *turn) tick() {
	due := func(at time.Time) bool { return !at.IsZero() && !t.at.Before(at) }
	if a := t.Attempt; a != nil && due(a.Until) && !a.Asking {
		t.unanswered()
	}
	for _, l := range t.Legs {
		if !l.open() || l.Part.Moving {
			continue
		}
		if due(l.Invite.Expires) { // it has no final response, for that would have ended it
			cause := telephony.Cause{Who: telephony.Caller, Code: 487, Text: "Nobody answered within the time that the caller gave the call (Expires)."}
			t.finish(l, cause, states.Refuse)
			t.without(l, cause)
			continue
		}
		if due(l.Invite.Retry) {
			l.Invite.Retry = time.Time{}
		}
		if due(l.Part.LeaveBy) {
			cause := telephony.Cause{Who: telephony.Switch, Code: 200, Text: "transferred"}
			t.finish(l, cause, states.Hang)
			t.without(l, cause)
			continue
		}
		if due(l.Timer.Due) {
			t.timerDue(l)
		}
	}
}
