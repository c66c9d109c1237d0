package callswitch

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// timerAsked takes what a request that came in says of session timers (RFC 4028 §9). It is false when the interval is
// smaller than we bear.
func (t *turn) timerAsked(l *Leg, m *signal.Message) bool {
	asked := m.Header("Session-Expires")
	knows := m.Has("Supported", "timer")
	l.Who.Allow.Timer = l.Who.Allow.Timer || knows
	every, ok := number(asked)
	if asked != "" && (!ok || every < minSE) {
		if knows || !ok {
			return false
		}
		every = minSE // who does not know the timer cannot be told with 422 (§8)
	}
	if asked == "" {
		every = t.interval()
	}
	// Whoever asks without saying who is to refresh does it himself; who does not ask, is refreshed by us.
	byUs := asked == "" || !knows || refresher(asked) == "uas"
	t.timer(l, every, byUs)
	return true
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
	t.timer(l, every, refresher(told) != "uas")
}

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
	if inResponse && who == "uac" { // §9
		headers = append(headers, telephony.Header{Name: "Require", Value: "timer"})
	}
	return headers
}

// timerDue refreshes a session, or ends the leg whose phone has not.
func (t *turn) timerDue(l *Leg) {
	switch {
	case l.State != Confirmed:
		l.Timer.Due = t.at.Add(time.Minute)
	case !l.Timer.We:
		cause := telephony.Cause{Who: telephony.Network, Code: 408, Text: "The phone did not refresh the session in time."}
		t.finish(l, cause, Hang)
		t.without(l, cause)
	case !l.idle():
		l.Timer.Due = t.at.Add(5 * time.Second)
	default:
		t.refresh(l)
	}
}

// refresh sends an UPDATE without a body, or a re-INVITE that changes nothing.
func (t *turn) refresh(l *Leg) {
	t.timer(l, l.Timer.Every, true)
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
	if state, ok := NextOffer(l.Session.State, WeOffer); ok {
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
	case r.Status == 408 || r.Status == 481 || r.Local:
		cause := l.causeOf(r)
		t.finish(l, cause, Hang)
		t.without(l, cause)
	case r.Status == 405 || r.Status == 501:
		l.Who.Allow.Update = false
	}
}
