package callswitch_test

import (
	"testing"

	"demarc/telephony/callswitch"
	"demarc/telephony/sdp"
)

// joined is a call of two that a third one has joined.
func joined(t *testing.T) *world {
	t.Helper()
	w := talking(t)
	f := &far{leg: 3, aor: carol, tag: "theirs", callID: "callx", flow: targets(1)[0].Ways[0].Flow, side: sdp.Side{Local: local("192.0.2.9", 4800), Session: 3}}
	w.fars[3] = f
	tx := w.tx(3, "INVITE")
	q := w.request(f, tx, "INVITE")
	q.ContentType, q.Body = "application/sdp", f.offer(sdp.SendRecv)
	w.fact(callswitch.Replacing{Leg: 1, Join: true, Request: q})
	w.ack(tx, false)
	return w
}

func (w *world) hears(leg int) callswitch.HearsKind { return w.call.Leg(leg).Session.Hears.Kind }

// TestTwoGoOnTalkingUntilTheyCanBeMixed holds that a conference begins without a silence for those who talked before.
func TestTwoGoOnTalkingUntilTheyCanBeMixed(t *testing.T) {
	w := joined(t)
	first, _ := w.sentTo(1, "INVITE")
	second, _ := w.sentTo(2, "INVITE")
	if w.hears(1) != callswitch.HearsOther || w.hears(2) != callswitch.HearsOther {
		t.Errorf("while they are asked for another codec, they hear %d and %d", w.hears(1), w.hears(2))
	}
	w.respond(first, 200, nil)
	if w.hears(1) != callswitch.HearsMix || w.hears(2) != callswitch.HearsNothing {
		t.Errorf("when the first has it, they hear %d and %d", w.hears(1), w.hears(2))
	}
	w.respond(second, 200, nil)
	third, _ := w.sentTo(3, "INVITE") // which was answered with the codec of the others
	w.respond(third, 200, nil)
	for leg := 1; leg <= 3; leg++ {
		if w.hears(leg) != callswitch.HearsMix {
			t.Errorf("at last leg %d hears %d", leg, w.hears(leg))
		}
	}
	w.finish()
}

func TestWhoRefusesToBeMixedHearsWhoRefusesToo(t *testing.T) {
	w := joined(t)
	for leg := 1; leg <= 2; leg++ {
		out, _ := w.sentTo(leg, "INVITE")
		w.respond(out, 488, nil)
	}
	if w.hears(1) != callswitch.HearsOther || w.hears(2) != callswitch.HearsOther {
		t.Errorf("they hear %d and %d", w.hears(1), w.hears(2))
	}
	w.finish()
}
