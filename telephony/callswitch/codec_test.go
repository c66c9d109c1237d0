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

// Another switch that passes its end of a call on asks for our offer, and hands that to somebody else, who may know another codec of the
// phone here (RFC 3725 §7, RFC 3261 §14.2).
func TestAnOfferThatIsAskedForHoldsWhatTheOtherPhoneCan(t *testing.T) {
	for leg, other := range map[int]int{1: 2, 2: 1} {
		w := talking(t)
		inUse := w.call.Leg(leg).Session.Side.Agreed.Audio.Codec.Name
		w.inDialog(w.fars[leg], "INVITE", nil)
		tx := signal.TxID(w.lastTx)
		s := w.servers[tx]
		offer, err := sdp.Parse(s.body)
		if err != nil {
			t.Fatal(err)
		}
		codecs := offer.Audio().Codecs
		pcmu := sdp.Codec{Name: "PCMU", Rate: 8000, Channels: 1}
		if codecs[0].Name != inUse || !offer.Audio().Offers(pcmu) {
			t.Fatalf("leg %d is offered %v, in use is %s", leg, codecs, inUse)
		}
		body, _, err := w.fars[leg].side.Answer(sdp.Terms{Secure: true}, offer, sdp.Wanted{Direction: sdp.SendRecv, Codecs: []sdp.Codec{pcmu}})
		if err != nil {
			t.Fatal(err)
		}
		s.ackDue, s.offerLess = false, false
		a := &signal.Ack{Tx: tx}
		a.ContentType, a.Body = "application/sdp", body
		w.step(callswitch.Event{Signal: a})
		w.quiet(leg, "INVITE")
		out, k := w.sentTo(other, "INVITE")
		if d, err := sdp.Parse(k.out.Body); err != nil || d.Audio().Codecs[0].Name != "PCMU" {
			t.Fatalf("%v: leg %d is asked for %+v", err, other, d.Audio())
		}
		w.respond(out, 200, nil)
		w.quiet(leg, "INVITE")
		if w.hears(1) != callswitch.HearsOther || w.hears(2) != callswitch.HearsOther {
			t.Errorf("they hear %d and %d", w.hears(1), w.hears(2))
		}
		w.finish()
	}
}
