package callswitch_test

import (
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// attended asks for the leg's far end to be connected with another call of the same phone.
func (w *world) attended(leg int) int {
	w.told = nil
	w.inDialog(w.fars[leg], "REFER", func(r *signal.Request) {
		r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<sip:1003@acme.example?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>"}}
	})
	return w.told[0].Status
}

// settle answers everything that is under way on a leg with 200.
func (w *world) settle(leg int) {
	for _, tx := range pending(w.clients, func(k *client) bool { return k.leg == leg && k.out.Method != "INVITE" }) {
		w.respond(tx, 200, nil)
	}
}

// Who is to be handed over may hang up first. Who wanted that is told, and may transfer again.
func TestATransferEndsWithWhoWasToGo(t *testing.T) {
	w := joined(t) // 1, 2 and 3; first one of them leaves, so that there are two again
	w.inDialog(w.fars[3], "BYE", nil)
	if status := w.attended(1); status != 202 { // the re-INVITE for mixing is under way on leg 2: it stays for the moment
		t.Fatalf("REFER got %d", status)
	}
	if len(w.released) > 0 || w.call.Leg(2).State != states.Confirmed {
		t.Fatal("leg 2 has gone already")
	}
	f := &far{leg: 4, aor: carol, tag: "theirs", callID: "cally", flow: targets(1)[0].Ways[0].Flow, side: sdp.Side{Local: local("192.0.2.9", 4900), Session: 3}}
	w.fars[4] = f
	tx := w.tx(4, "INVITE")
	q := w.request(f, tx, "INVITE")
	q.ContentType, q.Body = "application/sdp", f.offer(sdp.SendRecv)
	w.fact(callswitch.Replacing{Leg: 1, Join: true, Request: q})
	w.ack(tx, false)
	w.inDialog(w.fars[2], "BYE", nil)
	told := false
	for _, tx := range pending(w.clients, func(k *client) bool { return k.leg == 1 && k.out.Method == "NOTIFY" }) {
		out := w.clients[tx].out
		told = told || strings.HasPrefix(value(out.Headers, "Subscription-State"), "terminated") && !strings.Contains(string(out.Body), " 200 ")
	}
	if !told {
		t.Error("nobody tells who transfers that it came to nothing")
	}
	w.settle(1)
	if status := w.attended(1); status != 202 {
		t.Errorf("the next REFER got %d", status)
	}
	w.finish()
}

// Both of a call may transfer at once. The second one has to wait for what becomes of the first.
func TestBothTransferAtOnce(t *testing.T) {
	w := joined(t)
	w.inDialog(w.fars[3], "BYE", nil)
	if status := w.attended(1); status != 202 {
		t.Fatalf("the first REFER got %d", status)
	}
	if status := w.attended(2); status != 491 {
		t.Errorf("the second REFER got %d, want 491", status)
	}
	w.fact(callswitch.Transfer{Leg: 2, To: "sip:1003@acme.example"})
	if w.call.Attempt != nil {
		t.Error("the switch transfers who is to be handed over")
	}
	w.fact(callswitch.Merge{Leg: 2, Into: callswitch.Into{Call: "third", Leg: 1}})
	if got := w.call.Leg(1).Part.Into.Call; got != "" {
		t.Errorf("who wanted the first transfer is to go to call %q", got)
	}
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 200, nil)
	if l := w.call.Leg(2); l.Cause.Text != "transferred" {
		t.Errorf("the first transfer came to %v", l.Cause)
	}
	w.finish()
}

// While somebody transfers, another phone may take his place. It stays in the call when the transfer fails.
func TestWhoTookThePlaceOfATransferStays(t *testing.T) {
	w := talking(t)
	w.inDialog(w.fars[1], "REFER", func(r *signal.Request) {
		r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<sip:1003@acme.example>"}}
	})
	w.settle(1)
	rung, _ := w.sentTo(3, "INVITE")
	w.route = func(callswitch.Question) callswitch.Routed { return callswitch.Routed{Refused: &callswitch.Refusal{}} }
	f := &far{leg: 4, aor: alice, tag: "theirs", callID: "cally", flow: targets(1)[0].Ways[0].Flow, side: sdp.Side{Local: local("192.0.2.9", 4900), Session: 3}}
	w.fars[4] = f
	tx := w.tx(4, "INVITE")
	q := w.request(f, tx, "INVITE")
	q.ContentType, q.Body = "application/sdp", f.offer(sdp.SendRecv)
	w.fact(callswitch.Replacing{Leg: 1, Request: q})
	w.ack(tx, false)
	w.respond(rung, 500, nil)
	if w.call.State != states.Talking || !w.call.Leg(2).Since.Ended.IsZero() || !w.call.Leg(4).Since.Ended.IsZero() {
		t.Errorf("the call is %v; leg 2: %v, leg 4: %v", w.call.State, w.call.Leg(2).Cause, w.call.Leg(4).Cause)
	}
	if n := len(w.notes); n != 1 || w.notes[0].AoR != alice || w.notes[0].Text != "A transfer failed." {
		t.Errorf("told are %+v", w.notes)
	}
	w.inDialog(w.fars[4], "BYE", nil)
	w.finish()
}
