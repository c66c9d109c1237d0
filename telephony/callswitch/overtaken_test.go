package callswitch_test

import (
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Over UDP a digit may come to the phone before the re-INVITE that was sent first. The phone refuses that by its number (RFC 3261 §12.2.2), not for
// what it offers: it is asked again.
func TestWhatADigitHasOvertakenIsAskedAgain(t *testing.T) {
	w := talking(t, telephony.Header{Name: "Allow", Value: "INFO"})
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendOnly) })
	w.ack(signal.TxID(w.lastTx), false)
	music, _ := w.sentTo(2, "INVITE")
	w.inDialog(w.fars[1], "INFO", func(r *signal.Request) { r.ContentType, r.Body = "application/dtmf-relay", []byte("Signal=5\r\n") })
	digit, _ := w.sentTo(2, "INFO")
	w.respond(digit, 200, nil)
	w.respond(music, 500, nil)
	w.later()
	again, _ := w.sentTo(2, "INVITE")
	w.respond(again, 200, nil)
	if w.hears(2) != callswitch.HearsMusic {
		t.Error("who is on hold hears no music in the end")
	}
	w.finish()
}
