package callswitch_test

import (
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// expiring is a call that rings, whose INVITE says how long it is to.
func expiring(t *testing.T, expires string) (w *world, tx, out signal.TxID) {
	t.Helper()
	w = newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
	w.route = func(q callswitch.Question) callswitch.Routed {
		if q.Why == callswitch.Failed {
			return callswitch.Routed{Refused: &callswitch.Refusal{}}
		}
		return callswitch.Routed{Callee: bob, Targets: targets(1)}
	}
	w.change = func(r *signal.Request) {
		r.Headers = append(r.Headers, telephony.Header{Name: "Expires", Value: expires})
	}
	tx = w.invite(true)
	out, _ = w.sentTo(2, "INVITE")
	w.respond(out, 180, nil)
	return w, tx, out
}

// An INVITE that nobody has answered within its Expires gets 487 (RFC 3261 §13.3.1), and the phones that ring are cancelled.
func TestAnINVITEExpires(t *testing.T) {
	w, tx, out := expiring(t, "20")
	if after := w.later(); after != 20*time.Second || w.servers[tx].final != 487 {
		t.Errorf("after %v the INVITE had %d", after, w.servers[tx].final)
	}
	if c := w.call.Cause; c.Who != telephony.Caller || c.Code != 487 || !w.clients[out].cancelled {
		t.Errorf("the call ended by %v, the phone was cancelled: %t", c, w.clients[out].cancelled)
	}
	w.finish()
}

// Once it is answered, nothing of it is left; and one that would take longer than we let phones ring ends by that.
func TestAnExpiresThatDoesNotCount(t *testing.T) {
	w, tx, out := expiring(t, "20")
	w.respond(out, 200, nil)
	w.ack(tx, false)
	if at := w.call.Deadline(); w.call.State != states.Talking || at.Sub(w.now) < time.Minute {
		t.Errorf("the call is %v, and looks at the clock in %v", w.call.State, at.Sub(w.now))
	}
	w.finish()
	for _, expires := range []string{"600", "4294967295", "99999999999999999999", "soon", ""} {
		w, tx, _ := expiring(t, expires)
		w.later()
		if w.servers[tx].final != 480 {
			t.Errorf("Expires %q: the INVITE had %d after two minutes", expires, w.servers[tx].final)
		}
		w.finish()
	}
}
