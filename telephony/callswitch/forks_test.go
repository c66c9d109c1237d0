package callswitch_test

import (
	"testing"

	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Requests of the phone that answered count anew: those of another one behind the same target had numbers of their own (RFC 3261
// §12.2.2).
func TestEachPhoneBehindATargetHasNumbersOfItsOwn(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 180, func(r *signal.Response) { r.RSeq = 4000 })
	prack, _ := w.sentTo(2, "PRACK")
	w.respond(prack, 200, nil)
	w.fars[2].seq = 5000
	w.inDialog(w.fars[2], "INFO", nil)
	w.fars[2].tag = "another"
	w.respond(out, 180, func(r *signal.Response) { r.RSeq = 7 })
	prack, k := w.sentTo(2, "PRACK")
	if got := value(k.out.Headers, "RAck"); got != "7 1 INVITE" {
		t.Errorf("the other phone's response is confirmed as %q", got)
	}
	w.respond(prack, 200, nil)
	w.respond(out, 200, nil)
	w.ack(tx, false)
	w.told, w.fars[2].seq = nil, 1
	w.inDialog(w.fars[2], "BYE", nil)
	if w.told[0].Status != 200 || w.call.State < states.Closing {
		t.Errorf("the BYE of the phone that answered got %d, the call is %v", w.told[0].Status, w.call.State)
	}
	w.finish()
}

// An INVITE that is sent once more goes where the first one went: who rang, and which proxies there were, belongs to the dialog that is
// refused (RFC 3261 §12.3).
func TestAnotherINVITEGoesWhereTheFirstWent(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.policy = sdp.Preferred
	w.invite(true)
	out, first := w.sentTo(2, "INVITE")
	w.respond(out, 183, func(r *signal.Response) {
		r.Contact, r.RecordRoute = "sip:inside@10.0.0.1", []string{"<sip:proxy.example;lr>"}
	})
	w.respond(out, 488, nil)
	_, again := w.sentTo(2, "INVITE")
	if again.out.URI != first.out.URI {
		t.Errorf("the first INVITE went to %s, the second one to %s", first.out.URI, again.out.URI)
	}
	if got, want := value(again.out.Headers, "Route"), value(first.out.Headers, "Route"); got != want {
		t.Errorf("the first INVITE had Route %q, the second one %q", want, got)
	}
	w.finish()
}
