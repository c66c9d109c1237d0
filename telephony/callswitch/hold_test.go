package callswitch_test

import (
	"testing"

	"demarc/telephony/callswitch"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// A phone may hold and resume by a re-INVITE without an offer: what it wants stands in the answer that its ACK holds.
func TestHoldAndResumeByAnAnswerInTheACK(t *testing.T) {
	w := talking(t)
	delayed := func(d sdp.Direction) {
		t.Helper()
		w.inDialog(w.fars[1], "INVITE", nil)
		tx := signal.TxID(w.lastTx)
		s := w.servers[tx]
		s.ackDue, s.offerLess = false, false
		offer, err := sdp.Parse(s.body)
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := w.fars[1].side.Answer(sdp.Terms{Secure: true}, offer, sdp.Wanted{Direction: d})
		if err != nil {
			t.Fatal(err)
		}
		a := &signal.Ack{Tx: tx}
		a.ContentType, a.Body = "application/sdp", body
		w.step(callswitch.Event{Signal: a})
	}
	delayed(sdp.SendOnly)
	if !w.call.Leg(1).Session.Holds {
		t.Error("the phone's answer says that it holds, and it is taken for one that talks")
	}
	held, _ := w.sentTo(2, "INVITE")
	w.respond(held, 200, nil)
	if w.hears(2) != callswitch.HearsMusic {
		t.Errorf("who is held hears %d, want music", w.hears(2))
	}
	delayed(sdp.SendRecv)
	if w.call.Leg(1).Session.Holds {
		t.Error("the phone's answer says that it talks again, and it is taken for one that holds")
	}
	back, _ := w.sentTo(2, "INVITE")
	w.respond(back, 200, nil)
	if w.hears(1) != callswitch.HearsOther || w.hears(2) != callswitch.HearsOther {
		t.Errorf("after it they hear %d and %d, want each other", w.hears(1), w.hears(2))
	}
	w.finish()
}
