package edge_test

import (
	"fmt"
	"testing"

	"demarc/telephony/edge"
	"demarc/telephony/signal"
)

// More phones may be registered over UDP than flows are remembered of. What one began is still its own when its flow has been forgotten meanwhile: a
// CANCEL that came to nothing would let a phone ring for nobody.
func TestAFlowIsForgottenWhileAPhoneRings(t *testing.T) {
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		switch ev := ev.(type) {
		case *signal.Request:
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 180, ToTag: "to"})
		case *signal.Cancel:
			s.Reply(signal.Reply{Tx: ev.Tx, Status: 487, ToTag: "to"})
		}
	})
	r := start(t, s, edge.Limits{UDPFlows: 8})
	s.run(t, r)
	caller := r.party("udp")
	d := &dialogue{via: "UDP", callID: "forgotten", cseq: 1}
	caller.say(d.request("INVITE", "1"))
	caller.heard("180")
	for i := range 40 {
		other := r.party("udp")
		other.say(message("REGISTER", "UDP", fmt.Sprint(2000+i), "Contact: <sip:x@192.0.2.1>"))
		other.heard("200")
	}
	caller.say(d.request("INVITE", "1")) // once more
	caller.heard("180")
	caller.say(d.request("CANCEL", "1"))
	seen := map[string]bool{status(caller.next()): true, status(caller.next()): true}
	if !seen["200"] || !seen["487"] {
		t.Errorf("the CANCEL and its INVITE get %v", seen)
	}
	if got := s.names(); got != "INVITE Cancel" {
		t.Errorf("told are %s", got)
	}
}

// Whose flow has been forgotten is known by his registration: what he asks for in his call is answered, however long the answer is.
func TestAForgottenPhoneIsAnswered(t *testing.T) {
	book := &registered{}
	s := newStub(func(s *edge.Signalling, ev signal.Event) {
		if req, ok := ev.(*signal.Request); ok {
			s.Reply(signal.Reply{Tx: req.Tx, Status: 200, ToTag: "to", ContentType: "application/sdp", Body: make([]byte, 4000)})
		}
	})
	s.bindings = book.of
	book.add(&s.fake)
	r := start(t, s, edge.Limits{UDPFlows: 8})
	s.run(t, r)
	phone, stranger := r.party("udp"), r.party("udp")
	phone.register("1001", "one")
	for i := range 40 {
		other := r.party("udp")
		other.register(fmt.Sprint(2000+i), "other")
	}
	d := &dialogue{via: "UDP", callID: "standing", toTag: "to", cseq: 2}
	phone.say(d.request("UPDATE", "1"))
	phone.heard("200")
	d.callID = "forged"
	stranger.say(d.request("UPDATE", "2")) // from where he has not registered
	eventually(t, "the answer to a stranger is held back", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "udp", Reason: "amplification"}] == 1
	})
}
