package callswitch_test

import (
	"testing"

	"demarc/telephony/callswitch"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// A phone that goes on with another codec is not asked for the one that it has just left: the other phone follows.
func TestWhoChangesTheCodecIsNotAskedBack(t *testing.T) {
	for leg, other := range map[int]int{1: 2, 2: 1} {
		w := talking(t)
		before := w.call.Leg(leg).Session.Side.Agreed.Audio.Codec.Name
		w.inDialog(w.fars[leg], "INVITE", func(r *signal.Request) {
			body, _, err := w.fars[leg].side.Offer(sdp.Offering{Security: sdp.SDES, Direction: sdp.SendRecv,
				Codecs: []sdp.Codec{{Payload: 0, Name: "PCMU", Rate: 8000, Channels: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			r.ContentType, r.Body = "application/sdp", body
		})
		w.ack(signal.TxID(w.lastTx), false)
		w.quiet(leg, "INVITE")
		out, k := w.sentTo(other, "INVITE")
		if d, err := sdp.Parse(k.out.Body); err != nil || d.Audio().Codecs[0].Name != "PCMU" {
			t.Fatalf("%v: instead of %s leg %d is asked for %+v", err, before, other, d.Audio())
		}
		w.respond(out, 200, nil)
		w.quiet(leg, "INVITE")
		w.quiet(other, "INVITE")
		if w.hears(1) != callswitch.HearsOther || w.hears(2) != callswitch.HearsOther {
			t.Errorf("they hear %d and %d", w.hears(1), w.hears(2))
		}
		w.finish()
	}
}
