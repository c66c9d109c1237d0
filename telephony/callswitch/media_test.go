package callswitch_test

import (
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
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
