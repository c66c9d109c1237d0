package callswitch

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// A phone that has no way now, for its connection is closed, has said nothing about its call: RFC 3261 §12.2.1.2 ends a dialog by 408, 481 or
// silence, and not by a 503 that we make ourselves. It is asked again until it is back, for as long as one on UDP that is silent would be.

const (
	mostAway   = 32 * time.Second // 64*T1, timer B
	askedAgain = time.Second
)

// wayless reports whether a request within the dialog got nowhere: there is no way here, or none any more at the node that had it (RFC 5626
// §5.3.1).
func wayless(r *signal.Response) bool { return r.Local && r.Status == 503 || r.Status == 430 }

// heard notes that nothing waits for the phone to be back: it has said something, or needs to be told nothing any more.
func (l *Leg) heard() { l.Invite.Away = time.Time{} }

// away leaves a change of a leg for when its phone is back, or ends the leg when that takes too long.
func (t *turn) away(l *Leg, r *signal.Response) {
	if l.Invite.Away.IsZero() {
		l.Invite.Away = t.at
	}
	if t.at.Sub(l.Invite.Away) >= mostAway || l.Timer.over(t.at) {
		t.unreachable(l, r)
		return
	}
	l.Session.Aim, l.Invite.Retry = l.Session.Was, t.at.Add(askedAgain)
}

// unreachable ends a leg whose phone has not come back.
func (t *turn) unreachable(l *Leg, r *signal.Response) {
	cause := l.causeOf(r)
	cause.Who = telephony.Network
	t.finish(l, cause, states.Hang)
	t.without(l, cause)
}

// over reports whether the session has ended because nobody could be asked to refresh it (RFC 4028 §10).
func (s *SessionTimer) over(at time.Time) bool { return s.We && !s.Ends.IsZero() && !at.Before(s.Ends) }
