package callswitch_test

import (
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// What is called stands in history and in the timelines of two people, so that nobody may write any amount of it.
func TestLongAddressesAreNotCalled(t *testing.T) {
	long := "sip:" + strings.Repeat("1", 7000) + "@acme.example"
	brief := func(w *world, what string) {
		t.Helper()
		size := len(w.call.Asked.Dialled) + len(w.call.Cause.Text)
		for _, n := range w.notes {
			size += len(n.Text) + len(n.Cause.Text)
		}
		for _, l := range w.call.Legs {
			size += len(l.Cause.Text)
		}
		if size > 6000 {
			t.Errorf("%s: %d bytes are written of it", what, size)
		}
	}
	w := newWorld(t.Fatalf)
	w.change = func(r *signal.Request) { r.URI = long }
	tx := w.invite(true)
	if got := w.servers[tx].final; got != 414 {
		t.Errorf("an INVITE gets %d", got)
	}
	brief(w, "an INVITE")

	w = newWorld(t.Fatalf)
	tx = w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 302, func(r *signal.Response) { r.Contact = long })
	for w.servers[tx].final == 0 { // who forwards is tried again here, until that is too often
		out, _ = w.sentTo(w.call.LastLeg, "INVITE")
		w.respond(out, 302, func(r *signal.Response) { r.Contact = long })
	}
	brief(w, "a forwarding")

	w = talking(t)
	w.inDialog(w.fars[1], "REFER", func(r *signal.Request) { r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<" + long + ">"}} })
	if got := w.told[len(w.told)-1].Status; got != 400 {
		t.Errorf("a REFER gets %d", got)
	}
	brief(w, "a transfer")
}
