package callswitch_test

import (
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// Of three who talk, one phone that falls silent or whose media fails leaves the other two.
func TestAConferenceGoesOnWithoutAPhoneThatFails(t *testing.T) {
	for _, kind := range []telephony.MediaEventKind{telephony.MediaStopped, telephony.SecurityFailed} {
		w := joined(t)
		w.fact(callswitch.Noticed{Leg: 3, Event: telephony.MediaEvent{ID: 3, Kind: kind}})
		bye, _ := w.sentTo(3, "BYE")
		w.respond(bye, 200, nil)
		w.quiet(1, "BYE")
		w.quiet(2, "BYE")
		if w.call.State != callswitch.Talking || w.call.Leg(3).Cause.Who != telephony.Network {
			t.Errorf("after event %v the call is %v, the leg ended by %v", kind, w.call.State, w.call.Leg(3).Cause)
		}
		w.finish()
	}
}

// A caller who hears early media need not send any before the answer: how long he has been silent then says nothing.
func TestSilenceBeforeTheAnswerDoesNotEndTheCall(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, k := w.sentTo(2, "INVITE")
	early := w.fars[2].answerTo(k.out.Body)
	w.respond(out, 183, func(r *signal.Response) { r.ContentType, r.Body = "application/sdp", early })
	w.now = w.now.Add(50 * time.Second)
	w.respond(out, 200, func(r *signal.Response) { r.Body = early })
	w.ack(tx, false)
	w.now = w.now.Add(100 * time.Millisecond)
	w.fact(callswitch.Noticed{Leg: 1, Event: telephony.MediaEvent{ID: 1, Kind: telephony.MediaStopped, After: 30 * time.Second}})
	if w.call.State != callswitch.Talking {
		t.Errorf("the call is %v by %v", w.call.State, w.call.Cause)
	}
	w.now = w.now.Add(29 * time.Second) // the media counts by a clock of its own
	w.fact(callswitch.Noticed{Leg: 1, Event: telephony.MediaEvent{ID: 1, Kind: telephony.MediaStopped, After: 30 * time.Second}})
	if w.call.State != callswitch.Closing || w.call.Cause.Code != 408 {
		t.Errorf("half a minute later it is %v by %v", w.call.State, w.call.Cause)
	}
	w.finish()
}
