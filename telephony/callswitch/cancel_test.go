package callswitch_test

import (
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// A proxy that rings others beside us says in its CANCEL that somebody has answered: our phones show no missed call then
// (RFC 3326 §3.1). Whatever it says stands in history.
func TestTheReasonOfACANCELIsKept(t *testing.T) {
	for _, c := range []struct{ reason, goesOn, history string }{
		{`SIP;cause=200;text="Call completed elsewhere"`, `SIP;cause=200;text="Call completed elsewhere"`, "Call completed elsewhere"},
		{`Q.850 ;cause=26, SIP ;text="taken" ; cause=200`, `SIP;cause=200;text="Call completed elsewhere"`, "Call completed elsewhere"},
		{`Q.850;cause=200`, "SIP;cause=487", "Q.850;cause=200"},
		{`SIP;cause=600;text="Busy Everywhere"`, "SIP;cause=487", "Busy Everywhere"},
		{"", "SIP;cause=487", "hung up before anybody answered"},
	} {
		w := newWorld(t.Fatalf)
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 180, nil)
		w.step(callswitch.Event{Signal: &signal.Cancel{Tx: tx, Reason: c.reason}})
		if got := w.reasons[out]; got != c.goesOn {
			t.Errorf("%q: the phone is told %q, want %q", c.reason, got, c.goesOn)
		}
		if got := w.servers[tx].final; got != 487 {
			t.Errorf("%q: the caller got %d", c.reason, got)
		}
		if got := w.call.Cause; !strings.Contains(got.Text, c.history) || got.Who != telephony.Caller {
			t.Errorf("%q: history says %v", c.reason, got)
		}
		w.finish()
	}
}

// Who gives up while the answer waits for his PRACK has given up: the other phone is hung up at once, and not when that is over.
func TestACANCELWhileTheAnswerWaitsForAPRACK(t *testing.T) {
	for _, comes := range []bool{false, true} { // the PRACK, all the same
		w := newWorld(t.Fatalf)
		w.requires = "100rel"
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 180, nil)
		w.respond(out, 200, nil)
		if !w.servers[tx].held {
			t.Fatal("the answer does not wait for the PRACK")
		}
		w.step(callswitch.Event{Signal: &signal.Cancel{Tx: tx}})
		bye, _ := w.sentTo(2, "BYE")
		w.respond(bye, 200, nil)
		if got := w.call.Cause; got.Who != telephony.Caller || got.Code != 487 {
			t.Errorf("history says %v", got)
		}
		if w.prack(tx, !comes, nil); comes {
			w.ack(tx, false)
			bye, _ = w.sentTo(1, "BYE")
			w.respond(bye, 200, nil)
		} else if got := w.servers[tx].final; got < 300 {
			t.Errorf("the INVITE got %d in the end", got)
		}
		if w.call.State != states.Ended {
			t.Errorf("the call is %v", w.call.State)
		}
	}
}
