package transaction

import (
	"strconv"
	"time"

	"demarc/telephony/sip"
)

// gone is called when the flow has ended: before anything came back the next way is tried. A phone that has answered may come
// back, and answer over its next flow: it gets a few seconds.
func (t *clientTx) gone() (Failure, bool) {
	switch {
	case t.id.cancel:
		t.terminate()
		return Failure{}, false
	case t.untouched() && t.canceled:
		return t.fail(487, "the call was given up"), true
	case t.untouched():
		return t.try()
	case t.state == sip.Proceeding && t.way.Instance != "":
		t.end = t.wheel.Now() + 16*t.shard.of.timers.T1
		t.set()
		return Failure{}, false
	case t.state == sip.Proceeding:
		return t.fail(503, "the connection to the phone was lost"), true
	}
	return Failure{}, false
}

// fail ends the transaction without a response.
func (t *clientTx) fail(status int, reason string) Failure {
	f := Failure{Tx: t.id.tx, Method: t.method, Status: status, Reason: reason, Way: t.way}
	t.terminate()
	return f
}

// Fire is what the wheel calls, perhaps in vain: the transaction may have moved on, or be another one by now.
func (t *clientTx) Fire() {
	if failure, failed := t.due(); failed {
		t.shard.of.cfg.Failed(failure)
	}
}

func (t *clientTx) due() (Failure, bool) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	now := t.fired()
	switch {
	case t.id.tx == 0, t.state == sip.Terminated: // nobody uses it now
	case t.ended(now):
		return t.timedOut()
	case t.mustSend(now):
		t.carrier.Send(t.way.AoR, t.raw)
		t.repeated(t.next())
	default: // it was set to a later time meanwhile
		t.set()
	}
	return Failure{}, false
}

// timedOut is timers B, D, F, M and what gives a lost phone up.
func (t *clientTx) timedOut() (Failure, bool) {
	switch {
	case t.id.cancel, t.state == sip.Completed, t.state == sip.Accepted:
		t.terminate()
		return Failure{}, false
	case t.canceled:
		return t.fail(487, "the call was given up, and the phone did not say so"), true
	case t.state == sip.Calling && t.hasMore():
		return t.try()
	case t.state == sip.Proceeding && t.most > 0 && t.wheel.Now() >= t.most: // a phone that works on a change for ever would keep its call for ever
		t.canceled = true
		t.cancel()
		return Failure{}, false
	case t.state == sip.Proceeding && t.invite:
		return t.fail(503, "the connection to the phone was lost while it rang"), true
	}
	seconds := strconv.Itoa(int(64 * t.shard.of.timers.T1 / time.Second))
	return t.fail(408, "the phone did not answer within "+seconds+" seconds"), true
}

// next is timer A, or E.
func (t *clientTx) next() time.Duration {
	switch {
	case t.invite:
		return 2 * t.interval
	case t.state == sip.Proceeding:
		return t.shard.of.timers.T2
	}
	return min(2*t.interval, t.shard.of.timers.T2)
}

// terminate ends the transaction.
func (t *clientTx) terminate() {
	t.shard.of.size.Add(-1)
	t.retire()
}

// retire gives the transaction back to its shard.
func (t *clientTx) retire() {
	t.state = sip.Terminated
	t.shard.remove(t)
}

// keep is UAS.keep's.
func (u *UAC) keep(d time.Duration) time.Duration {
	if crowded(u.size.Load(), u.cfg.Limit) {
		return min(d, u.timers.T4)
	}
	return d
}

// responded returns the state of a client transaction after a response, and how long it is kept: timers D and M of an INVITE.
// Any other request needs no state once it is answered: a late response matches nothing and is dropped (timer K).
func responded(status int, invite, reliable bool, t sip.Timers) (sip.State, time.Duration) {
	switch {
	case status < 200:
		return sip.Proceeding, 0
	case invite && status < 300:
		return sip.Accepted, 64 * t.T1
	case invite && !reliable:
		return sip.Completed, 64 * t.T1
	}
	return sip.Terminated, 0
}
