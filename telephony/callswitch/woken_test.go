package callswitch_test

import (
	"testing"

	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// When a user's phone wakes, all of his phones that are there are told of. One that rings already is not the one that slept.
func TestAPhoneThatRingsAlreadyDoesNotWakeForAnother(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		w := newWorld(t.Fatalf)
		both := targets(2)
		desk, mobile := both[0], both[1]
		asleep := mobile
		asleep.URI, asleep.Ways = "sip:before@192.0.2.7", nil
		w.route = func(callswitch.Question) callswitch.Routed {
			return callswitch.Routed{Callee: bob, Targets: []signal.Target{asleep, desk}}
		}
		w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 180, func(r *signal.Response) { r.Way = desk.Ways[0] })
		if refuses {
			w.respond(out, 486, nil)
		}
		w.fact(callswitch.Woken{AoR: bob, Target: desk})
		if w.call.LastLeg != 2 {
			t.Fatalf("refuses %t: the phone that was rung already is rung again", refuses)
		}
		w.fact(callswitch.Woken{AoR: bob, Target: mobile})
		if _, k := w.sentTo(3, "INVITE"); k.out.URI != mobile.URI {
			t.Errorf("refuses %t: %s is rung", refuses, k.out.URI)
		}
		w.fact(callswitch.Woken{AoR: bob, Target: mobile})
		if w.call.LastLeg != 3 {
			t.Errorf("refuses %t: the phone that woke is rung again", refuses)
		}
		w.finish()
	}
}
