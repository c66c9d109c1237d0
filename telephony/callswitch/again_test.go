package callswitch_test

import (
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// A phone that asks for a longer session again and again gets one more INVITE, whatever it asks for.
func TestAsking422ForEverIsNotFollowed(t *testing.T) {
	for _, least := range []string{"0", "1", "90", "3600"} {
		w := newWorld(t.Fatalf)
		w.invite(true)
		for n := 1; ; n++ {
			open := pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == "INVITE" })
			if len(open) == 0 {
				break
			}
			if n > 2 {
				t.Fatalf("Min-SE %s: INVITE number %d", least, n)
			}
			w.respond(open[0], 422, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Min-SE", Value: least}} })
		}
		w.finish()
	}
}

// What has one hop left ends here: with none it could not be told from what has all.
func TestTheLastHopIsNotSentOn(t *testing.T) {
	for hops, want := range map[int]int{0: 483, 1: 483, 2: 0} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) { r.Hops = hops }
		tx := w.invite(true)
		if got := w.servers[tx].final; got != want {
			t.Errorf("Max-Forwards %d: %d, want %d", hops, got, want)
		}
		for _, k := range w.clients {
			if k.out.Hops != hops-1 {
				t.Errorf("Max-Forwards %d goes on as %d", hops, k.out.Hops)
			}
		}
	}
}

// A refresh says again what was agreed, not what was offered since and refused.
func TestARefreshDoesNotRepeatARefusedOffer(t *testing.T) {
	w := talking(t)
	before := w.call.Leg(2).Session.Side.Agreed.Audio.Codec.Name
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendOnly) })
	w.ack(signal.TxID(w.lastTx), false)
	music, k := w.sentTo(2, "INVITE")
	offered, err := sdp.Parse(k.out.Body)
	if err != nil || offered.Audio().Codecs[0].Name == before {
		t.Fatalf("%v: it is asked for %+v, its own is %s", err, offered.Audio(), before)
	}
	w.respond(music, 488, nil)
	for range 10 {
		if len(pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == "INVITE" })) > 0 {
			break
		}
		w.later()
		for _, tx := range pending(w.clients, func(k *client) bool { return k.leg == 1 }) {
			w.respond(tx, 200, nil)
		}
	}
	_, k = w.sentTo(2, "INVITE")
	again, err := sdp.Parse(k.out.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Audio().Codecs[0].Name; got != before {
		t.Errorf("the refresh offers %s, agreed is %s", got, before)
	}
	if l := w.call.Leg(2); l.Session.Aim != l.Session.Was {
		t.Errorf("the refresh changes what is allowed from %+v to %+v", l.Session.Was, l.Session.Aim)
	}
}

// A BYE may overtake the answer of the phone that sends it. It is the phone that hung up, not the caller.
func TestAPhoneThatHangsUpBeforeItsAnswerComesIsNamed(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 180, nil)
	w.inDialog(w.fars[2], "BYE", nil)
	c := w.call.Leg(2).Cause
	if c.Who != telephony.Callee || strings.Contains(c.Text, "caller") {
		t.Errorf("history says %v", c)
	}
	w.finish()
}
