package callswitch_test

import (
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// What a refused request asked for has not come to be: neither who refreshes (RFC 4028 §9) nor where the phone is (RFC 6141 §4.3).
func TestARefusedOfferChangesNothing(t *testing.T) {
	for _, method := range []string{"INVITE", "UPDATE"} {
		w := talking(t)
		l := w.call.Leg(1)
		timer, target := l.Timer, l.Dialog.Target
		w.now = w.now.Add(time.Second)
		w.told = nil
		w.inDialog(w.fars[1], method, func(r *signal.Request) {
			r.Contact = "sip:elsewhere@192.0.2.77"
			r.Headers = []telephony.Header{{Name: "Supported", Value: "timer"}, {Name: "Session-Expires", Value: "600;refresher=uac"}}
			r.ContentType, r.Body = "application/sdp", []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n")
		})
		if got := w.told[0].Status; got != 488 {
			t.Fatalf("%s without audio got %d", method, got)
		}
		if l.Timer != timer {
			t.Errorf("a refused %s changes the timer from %+v to %+v", method, timer, l.Timer)
		}
		if l.Dialog.Target != target {
			t.Errorf("a refused %s moves the phone to %s", method, l.Dialog.Target)
		}
		w.finish()
	}
}

// A refresh that fails for now is tried again before the phone takes the session for over (RFC 4028 §10).
func TestARefreshThatFailsIsTriedAgain(t *testing.T) {
	for _, allow := range []string{"INVITE, UPDATE", "INVITE"} {
		method := map[bool]string{true: "UPDATE", false: "INVITE"}[allow != "INVITE"]
		for _, status := range []int{491, 500, 503} {
			w := talking(t, telephony.Header{Name: "Allow", Value: allow}, telephony.Header{Name: "Session-Expires", Value: "1800;refresher=uac"},
				telephony.Header{Name: "Supported", Value: "timer"})
			over := w.now.Add(1800*time.Second - 32*time.Second)
			w.later() // both legs, at the same time
			refresh, _ := w.sentTo(2, method)
			w.respond(refresh, status, nil)
			for w.later(); len(pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == method })) == 0; {
				w.later()
			}
			if !w.now.Before(over) {
				t.Errorf("after %d the next %s goes out %v after the session's end", status, method, w.now.Sub(over))
			}
			w.finish()
		}
	}
}

// A proxy that wants longer sessions says so to a refresh, too (RFC 4028 §7.4).
func TestARefreshThatIsTooShortAsksForMore(t *testing.T) {
	for _, allow := range []string{"INVITE, UPDATE", "INVITE"} {
		method := map[bool]string{true: "UPDATE", false: "INVITE"}[allow != "INVITE"]
		w := talking(t, telephony.Header{Name: "Allow", Value: allow}, telephony.Header{Name: "Session-Expires", Value: "200;refresher=uac"},
			telephony.Header{Name: "Supported", Value: "timer"})
		w.later()
		refresh, _ := w.sentTo(2, method)
		w.respond(refresh, 422, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Min-SE", Value: "900"}} })
		for n := 0; len(pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == method })) == 0; n++ {
			if n > 20 {
				t.Fatal("there is no other refresh")
			}
			w.later()
			for _, tx := range pending(w.clients, func(k *client) bool { return k.leg == 1 }) {
				w.respond(tx, 200, nil)
			}
		}
		_, k := w.sentTo(2, method)
		if got := value(k.out.Headers, "Session-Expires"); got != "900;refresher=uac" {
			t.Errorf("after 422 the %s asks for %s", method, got)
		}
		if got := value(k.out.Headers, "Min-SE"); got != "900" {
			t.Errorf("after 422 the %s bears Min-SE %q (§7.4)", method, got)
		}
		w.finish()
	}
}

// The interval of a 2xx is no smaller than the request bears (RFC 4028 §9).
func TestTheAnswerBearsTheLeastIntervalOfTheRequest(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.change = func(r *signal.Request) {
		r.Headers = []telephony.Header{{Name: "Supported", Value: "timer"}, {Name: "Min-SE", Value: "3600"}}
	}
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 200, nil)
	answer := w.told[len(w.told)-1]
	if got := value(answer.Headers, "Session-Expires"); answer.Status != 200 || got != "3600;refresher=uas" {
		t.Errorf("the answer is %d with Session-Expires %s", answer.Status, got)
	}
	w.ack(tx, false)
	w.finish()
}
