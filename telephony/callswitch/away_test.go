package callswitch_test

import (
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// noWay is what the edge says of a phone whose connection is closed, and the node that had it.
var noWay = map[string]func(*signal.Response){
	"here":            func(r *signal.Response) { r.Status, r.Local, r.Reason = 503, true, "the phone has no open connection" },
	"at another node": func(r *signal.Response) { r.Status = 430 },
}

// A phone whose connection is closed when its call changes finds its call when it is back, and the change (RFC 3261 §12.2.1.2 ends a dialog by
// 408, 481 and silence).
func TestAPhoneThatComesBackFindsItsCall(t *testing.T) {
	for name, gone := range noWay {
		w, music := held(t)
		w.respond(music, 503, gone)
		for range 20 {
			if w.call.State != states.Talking {
				t.Fatalf("%s: the call is %v by %v", name, w.call.State, w.call.Cause)
			}
			if wait := w.later(); wait > 5*time.Second {
				t.Errorf("%s: who is back hears of it after %v", name, wait)
			}
			music, _ = w.sentTo(2, "INVITE")
			w.respond(music, 503, gone)
		}
		w.later()
		music, _ = w.sentTo(2, "INVITE")
		w.respond(music, 200, nil)
		if w.hears(2) != callswitch.HearsMusic {
			t.Error("who was away hears no music on hold")
		}
		w.finish()
	}
}

// One that does not come back is given up like one that is silent on UDP; what it was away for before does not count.
func TestAPhoneThatDoesNotComeBackIsGivenUp(t *testing.T) {
	for name, gone := range noWay {
		w, music := held(t)
		w.respond(music, 503, gone)
		w.now = w.now.Add(10 * time.Second)
		w.fact(callswitch.Tick{})
		w.inDialog(w.fars[2], "INFO", nil) // it was back for a moment
		begun := w.now
		for w.call.State == states.Talking && w.now.Before(begun.Add(time.Hour)) {
			open := pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == "INVITE" })
			if len(open) > 0 {
				w.respond(open[0], 503, gone)
				continue
			}
			w.later()
		}
		c := w.call.Cause
		if after := w.now.Sub(begun); after < 30*time.Second || after > 40*time.Second || c.Who != telephony.Network || c.Code < 400 {
			t.Errorf("%s: it was given up after %v: %v", name, after, c)
		}
		if n := len(w.notes); n == 0 {
			t.Errorf("%s: nobody is told", name)
		}
		w.finish()
	}
}

// A refresh that gets nowhere is asked again until the session is over (RFC 4028 §10), and then ends the leg.
func TestARefreshOfAPhoneThatIsAway(t *testing.T) {
	for _, allow := range []string{"INVITE, UPDATE", "INVITE"} {
		method := map[bool]string{true: "UPDATE", false: "INVITE"}[allow != "INVITE"]
		for _, back := range []bool{true, false} {
			w := talking(t, telephony.Header{Name: "Allow", Value: allow}, telephony.Header{Name: "Session-Expires", Value: "1800;refresher=uac"},
				telephony.Header{Name: "Supported", Value: "timer"})
			begun, over := w.now, w.now.Add(1800*time.Second)
			for asked := 0; w.call.State == states.Talking && w.now.Before(over.Add(time.Hour)); {
				for _, tx := range pending(w.clients, func(k *client) bool { return k.leg == 1 }) {
					w.respond(tx, 200, nil)
				}
				for _, tx := range pending(w.clients, func(k *client) bool { return k.leg == 2 }) {
					if asked++; back && asked == 2 {
						w.respond(tx, 200, func(r *signal.Response) {
							r.Headers = []telephony.Header{{Name: "Session-Expires", Value: "1800;refresher=uac"}}
						})
						continue
					}
					w.respond(tx, 503, noWay["here"])
				}
				if w.call.State == states.Talking {
					w.later()
				}
			}
			lasted := w.now.Sub(begun)
			if !back && (lasted < 1700*time.Second || lasted > 1900*time.Second) {
				t.Errorf("%s: a phone that is away was given up after %v", method, lasted)
			}
			if back && lasted < 2500*time.Second {
				t.Errorf("%s: a phone that was back in time was given up after %v", method, lasted)
			}
			w.finish()
		}
	}
}
