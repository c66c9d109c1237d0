package callswitch_test

import (
	"fmt"
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// A leg that is being handed over belongs to neither call until the other one has answered: the end of its own call must not
// end it too.
func TestEndOfACallLeavesALegThatIsBeingHandedOver(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprint("refused ", refused), func(t *testing.T) {
			w := talking(t)
			w.slow = true
			w.fact(callswitch.Merge{Leg: 1, Into: callswitch.Into{Call: "other", Leg: 1, Place: true}})
			if len(w.released) != 1 {
				t.Fatalf("released %v", w.released)
			}
			w.inDialog(w.fars[1], "BYE", nil) // who transfers does not wait for the outcome
			w.quiet(2, "BYE")
			if !w.media[2] {
				t.Error("its media was closed")
			}
			w.adopt = func(r callswitch.Release) callswitch.Adopted {
				a := callswitch.Adopted{Leg: r.Leg}
				if refused {
					a.Refused = &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 481, Text: "gone"}}
				}
				return a
			}
			w.fact(w.answerRelease())
			if !refused {
				w.quiet(2, "BYE")
				if w.call.State != states.Ended || w.ends != 1 {
					t.Errorf("the call is %v with %d ends", w.call.State, w.ends)
				}
				return
			}
			bye, _ := w.sentTo(2, "BYE")
			w.respond(bye, 200, nil)
			w.finish()
		})
	}
}

// Whoever asks to come into a call over and over makes it no larger than phones can make it otherwise.
func TestLegsOfACallAreBounded(t *testing.T) {
	w := talking(t)
	for n := range 300 {
		f := &far{leg: w.call.LastLeg + 1, aor: carol, tag: fmt.Sprint("again", n), callID: fmt.Sprint("again", n), flow: targets(1)[0].Ways[0].Flow,
			side: sdp.Side{Local: local("192.0.2.9", 4800), Session: 3}}
		w.fars[f.leg] = f
		tx := w.tx(f.leg, "INVITE")
		q := w.request(f, tx, "INVITE")
		q.ContentType, q.Body = "application/sdp", f.offer(sdp.SendRecv)
		w.fact(callswitch.Replacing{Leg: 2, Named: callswitch.Replaces{CallID: "call2", OurTag: "our2", TheirTag: "their2", EarlyOnly: true}, Request: q})
		q.ToTag = ""
		if got := w.servers[tx].final; got < 300 {
			t.Fatalf("INVITE %d got %d", n, got)
		}
	}
	if len(w.call.Legs) > 255 || w.call.LastLeg > 255 {
		t.Errorf("the call has %d legs, the last is number %d", len(w.call.Legs), w.call.LastLeg)
	}
	w.finish()
}

// Whoever takes a call over, or joins it, is answered with a codec of his own when he has not the one in use: the others follow.
func TestWhoTakesACallOverNeedNotKnowItsCodec(t *testing.T) {
	for _, join := range []bool{false, true} {
		w := talking(t)
		f := &far{leg: 3, aor: carol, tag: "theirs", callID: "callx", flow: targets(1)[0].Ways[0].Flow, side: sdp.Side{Local: local("192.0.2.9", 4800), Session: 3}}
		w.fars[3] = f
		body, _, err := f.side.Offer(sdp.Offering{Security: sdp.SDES, Direction: sdp.SendRecv, Codecs: sdp.Music()[:1]})
		if err != nil {
			t.Fatal(err)
		}
		tx := w.tx(3, "INVITE")
		q := w.request(f, tx, "INVITE")
		q.ContentType, q.Body = "application/sdp", body
		w.fact(callswitch.Replacing{Leg: 2, Join: join, Request: q})
		if got := w.servers[tx].final; got != 200 {
			t.Errorf("join %t: %d, want 200", join, got)
			continue
		}
		w.ack(tx, false)
		out, k := w.sentTo(1, "INVITE")
		offered, err := sdp.Parse(k.out.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := offered.Audio().Codecs[0].Name; got != "PCMA" {
			t.Errorf("join %t: who was there is asked for %s, want PCMA", join, got)
		}
		w.respond(out, 200, nil)
		w.finish()
	}
}

// The ACK of a phone's re-INVITE comes to the call that answered it: until then its leg stays.
func TestALegIsHandedOverWhenItsReinviteIsConfirmed(t *testing.T) {
	w := talking(t)
	w.slow = true
	w.inDialog(w.fars[2], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[2].offer(sdp.SendRecv) })
	tx := signal.TxID(w.lastTx)
	w.fact(callswitch.Merge{Leg: 1, Into: callswitch.Into{Call: "other", Leg: 1, Place: true}})
	if len(w.released) != 0 {
		t.Fatal("it was handed over before its ACK came")
	}
	w.ack(tx, false)
	if len(w.released) != 1 {
		t.Fatal("it was not handed over when its ACK was there")
	}
	w.finish()
}
