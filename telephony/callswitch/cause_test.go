package callswitch_test

import (
	"fmt"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// once sends calls to one user, and nowhere else when he does not answer.
func once(aor telephony.AoR) func(callswitch.Question) callswitch.Routed {
	return func(q callswitch.Question) callswitch.Routed {
		if q.Why == callswitch.Failed {
			return callswitch.Routed{Refused: &callswitch.Refusal{}}
		}
		return callswitch.Routed{Callee: aor, Targets: targets(1)}
	}
}

// Gateways say in a Reason what the telephone network has said (RFC 6432): it stands in history beside the Warning, and goes no further.
func TestHistoryTellsTheWordsOfARefusal(t *testing.T) {
	const network, warning = `Q.850;cause=38;text="Network out of order"`, `399 gw.inside "trunk down"`
	for _, headers := range [][]telephony.Header{
		{{Name: "Reason", Value: network}},
		{{Name: "Warning", Value: warning}},
		{{Name: "Reason", Value: network}, {Name: "Warning", Value: warning}},
	} {
		w := newWorld(t.Fatalf)
		w.route = once(bob)
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 500, func(r *signal.Response) { r.Reason, r.Headers = "Server Internal Error", headers })
		for _, h := range headers {
			if want := strings.ReplaceAll(h.Value, `"`, ""); !strings.Contains(w.call.Leg(2).Cause.Text, want) {
				t.Errorf("history says %q, without %q", w.call.Leg(2).Cause.Text, want)
			}
		}
		last := w.told[len(w.told)-1]
		if last.Tx != tx || last.Status != 500 || strings.Contains(value(last.Headers, "Reason"), "order") || strings.Contains(value(last.Headers, "Reason"), "trunk") {
			t.Errorf("the caller is told %d %v", last.Status, last.Headers)
		}
		w.finish()
	}
}

// Who transfers and hangs up at once has to learn from his timeline that it failed: nobody can tell his phone any more.
func TestATransferThatFailsIsToldToWhoHasLeft(t *testing.T) {
	for _, leg := range []int{1, 2} {
		w := talking(t)
		w.route = once(carol)
		w.inDialog(w.fars[leg], "REFER", func(r *signal.Request) {
			r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<sip:1003@acme.example>"}}
		})
		w.inDialog(w.fars[leg], "BYE", nil)
		out, _ := w.sentTo(3, "INVITE")
		w.notes = nil
		w.respond(out, 500, nil)
		by, told := w.fars[leg].aor, 0
		for _, n := range w.notes {
			if n.AoR == by && n.Cause.Code == 500 {
				told++
			}
		}
		if told != 1 {
			t.Errorf("the timeline of %s has %d entries about it: %+v", by, told, w.notes)
		}
		w.finish()
	}
}

// A URI may hold a password, which is nobody's business (RFC 3261 §19.1.1): it stands in no history and timeline, whoever says it.
func TestPasswordsInURIsAreNotTold(t *testing.T) {
	const secret, reason = "sip:1003:CANARY@acme.example", `SIP;cause=500;text="as sip:gw:CANARY@192.0.2.1 says"`
	says := []telephony.Header{{Name: "Reason", Value: reason}, {Name: "Refer-To", Value: "<" + secret + ">"}}
	var asked []string
	route := func(w *world) func(q callswitch.Question) callswitch.Routed {
		return func(q callswitch.Question) callswitch.Routed {
			asked = append(asked, q.Dialled)
			return once(bob)(q)
		}
	}
	check := func(w *world, what, want string) {
		t.Helper()
		w.finish()
		if told := fmt.Sprint(w.call.Cause, w.causes, w.notes, asked); strings.Contains(told, "CANARY") || !strings.Contains(told, want) {
			t.Errorf("%s: told is %s, and not %s", what, told, want)
		}
	}

	w := newWorld(t.Fatalf)
	w.route = route(w)
	w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 500, func(r *signal.Response) { r.Headers = says })
	check(w, "a refusal", "as sip:gw:***@192.0.2.1 says")

	w = newWorld(t.Fatalf)
	w.route = route(w)
	w.invite(true)
	out, _ = w.sentTo(2, "INVITE")
	w.respond(out, 302, func(r *signal.Response) { r.Contact = secret })
	check(w, "a forwarding", "forwarded to sip:1003:***@acme.example")

	w = newWorld(t.Fatalf)
	tx := w.invite(true)
	w.step(callswitch.Event{Signal: &signal.Cancel{Tx: tx, Reason: reason}})
	check(w, "a CANCEL", "as sip:gw:***@192.0.2.1 says")

	w = talking(t)
	w.route = route(w)
	w.inDialog(w.fars[1], "REFER", func(r *signal.Request) { r.Headers = says })
	w.inDialog(w.fars[2], "BYE", func(r *signal.Request) { r.Headers = says })
	check(w, "a transfer and a BYE", "sip:1003:***@acme.example")
}
