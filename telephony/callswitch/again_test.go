package callswitch_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
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

// held is a call of two of which the first phone holds: the second is asked for music.
func held(t *testing.T) (w *world, music signal.TxID) {
	t.Helper()
	w = talking(t)
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendOnly) })
	w.ack(signal.TxID(w.lastTx), false)
	music, _ = w.sentTo(2, "INVITE")
	return w, music
}

// A phone that puts a re-INVITE off for an hour is asked again after 10 s at most; the call goes on meanwhile.
func TestALongRetryAfterIsNotWaitedFor(t *testing.T) {
	for after, most := range map[string]time.Duration{"0": 4 * time.Second, "7": 7 * time.Second, "3600": 10 * time.Second,
		"86400": 10 * time.Second, "99999999999": 10 * time.Second} {
		w, music := held(t)
		w.respond(music, 500, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Retry-After", Value: after}} })
		if s := w.call.Leg(2).Session.State; s != states.Stable {
			t.Errorf("after a refused offer the leg is %v", s)
		}
		w.quiet(2, "INVITE")
		w.inDialog(w.fars[2], "INFO", nil)
		if got := w.told[len(w.told)-1].Status; got != 200 || w.call.State != states.Talking {
			t.Errorf("meanwhile a request of the phone gets %d, and the call is %v", got, w.call.State)
		}
		if wait := w.later(); wait > most {
			t.Errorf("Retry-After %s: it is asked again after %v, want %v at most", after, wait, most)
		}
		again, _ := w.sentTo(2, "INVITE")
		w.respond(again, 200, nil)
		if w.hears(2) != callswitch.HearsMusic {
			t.Error("who is on hold hears no music in the end")
		}
		w.finish()
	}
}

// Who has not acknowledged the 2xx to his re-INVITE yet is asked nothing (RFC 3261 §14.1): his ACK, which holds no answer, is none to our offer.
func TestAReinviteWaitsForTheACKOfTheOneBefore(t *testing.T) {
	w := talking(t)
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendRecv) })
	first := signal.TxID(w.lastTx)
	w.inDialog(w.fars[2], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[2].offer(sdp.SendOnly) })
	w.ack(signal.TxID(w.lastTx), false)
	w.quiet(1, "INVITE")
	w.ack(first, false)
	if w.call.State != states.Talking {
		t.Errorf("after the ACK the call is %v: %v", w.call.State, w.call.Cause)
	}
	hold, _ := w.sentTo(1, "INVITE")
	w.respond(hold, 200, nil)
	if w.hears(1) != callswitch.HearsMusic {
		t.Error("who is on hold hears no music in the end")
	}
	w.finish()
}

// A re-INVITE that a digit has overtaken on its way is refused with 500, and asked again: nobody has refused its offer. One that nothing has
// overtaken was.
func TestAnOvertakenReinviteIsAskedAgain(t *testing.T) {
	for _, overtaken := range []bool{true, false} {
		w := talking(t, telephony.Header{Name: "Allow", Value: "INFO"})
		w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendOnly) })
		w.ack(signal.TxID(w.lastTx), false)
		music, _ := w.sentTo(2, "INVITE")
		if overtaken {
			w.inDialog(w.fars[1], "INFO", func(r *signal.Request) { r.ContentType, r.Body = "application/dtmf-relay", []byte("Signal=5\r\n") })
			digit, _ := w.sentTo(2, "INFO")
			w.respond(digit, 200, nil)
		}
		w.respond(music, 500, nil)
		w.quiet(2, "INVITE")
		wait := w.later()
		if asked := len(pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == "INVITE" })) == 1 && wait < 10*time.Second; asked != overtaken {
			t.Errorf("overtaken %v: asked again after %v: %v", overtaken, wait, asked)
		}
		w.finish()
	}
}

// A phone that puts re-INVITEs off for ever is not asked for ever; its user can read of it.
func TestPuttingOffForEverIsNotFollowed(t *testing.T) {
	for _, status := range []int{491, 500} {
		w, music := held(t)
		asked := 1
		for ; asked < 50; asked++ {
			w.respond(music, status, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Retry-After", Value: "0"}} })
			for range 3 {
				if len(pending(w.clients, func(k *client) bool { return k.leg == 2 })) == 0 && w.call.Deadline().Sub(w.now) < time.Minute {
					w.later()
				}
			}
			open := pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == "INVITE" })
			if len(open) == 0 {
				break
			}
			music = open[0]
		}
		if asked < 4 || asked > 20 {
			t.Errorf("%d: the phone was asked %d times", status, asked)
		}
		if n := len(w.notes); n != 1 || w.notes[0].AoR != bob || w.notes[0].Cause.Code != status {
			t.Errorf("%d: told are %+v", status, w.notes)
		}
		if w.call.State != states.Talking {
			t.Errorf("%d: the call is %v", status, w.call.State)
		}
		w.finish()
	}
}

// A phone that promises to refresh its session in many years is told a time in which it is missed: else a call that is on hold lasts for ever
// once its phone has gone without a word.
func TestASessionIsNotMadeToLastForEver(t *testing.T) {
	for name, c := range map[string]struct {
		asked, least string
		most         time.Duration
	}{
		"for ever":                   {"2147483647;refresher=uac", "", 30 * time.Minute},
		"long":                       {"7200;refresher=uac", "", 30 * time.Minute},
		"long, and not for less":     {"7200;refresher=uac", "7200", 2 * time.Hour},
		"for ever, and not for less": {"2147483647;refresher=uac", "2147483647", 24 * time.Hour},
	} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) {
			r.Headers = []telephony.Header{{Name: "Supported", Value: "timer"}, {Name: "Session-Expires", Value: c.asked}, {Name: "Min-SE", Value: c.least}}
		}
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 200, func(r *signal.Response) { // the other one as well
			r.Headers = []telephony.Header{{Name: "Session-Expires", Value: "2147483647;refresher=uas"}}
		})
		w.ack(tx, false)
		told, _, _ := strings.Cut(value(w.reply(1, 200).Headers, "Session-Expires"), ";")
		if n, err := strconv.Atoi(told); err != nil || time.Duration(n)*time.Second != c.most {
			t.Errorf("%s: told %s, want %v", name, told, c.most)
		}
		for _, l := range w.call.Legs {
			if wait := l.Timer.Due.Sub(w.now); wait <= 0 || wait > c.most {
				t.Errorf("%s: leg %d is given up after %v", name, l.ID, wait)
			}
		}
		w.finish()
	}
}

// A phone that rings on says so every minute (RFC 3261 §13.3.1.1): so does the switch, for one that was lost, and for proxies that would
// give up.
func TestRingingThatIsRepeatedIsPassedOn(t *testing.T) {
	for _, early := range []bool{false, true} {
		w := newWorld(t.Fatalf)
		w.invite(true)
		out, k := w.sentTo(2, "INVITE")
		var body []byte
		if early {
			body = w.fars[2].answerTo(k.out.Body)
		}
		for n := range 3 {
			w.now = w.now.Add(30 * time.Second)
			w.respond(out, 183, func(r *signal.Response) {
				if r.Body = body; early {
					r.ContentType = "application/sdp"
				}
			})
			if len(w.told) != n+1 {
				t.Fatalf("with early media %v: after %d responses of the phone the caller got %d", early, n+1, len(w.told))
			}
			if got := w.told[n]; got.Status != w.told[0].Status || !bytes.Equal(got.Body, w.told[0].Body) {
				t.Errorf("with early media %v: number %d says %d with %q", early, n+1, got.Status, got.Body)
			}
		}
		w.finish()
	}
}
