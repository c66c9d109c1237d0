package exchange_test

import (
	"net/url"
	"testing"

	"demarc/telephony"
	"demarc/telephony/sdp"
)

// refer transfers the far end of a dialog to where another one of the same phone rings, or talks.
func (d *dialog) refer(to *dialog) {
	d.p.site.t.Helper()
	d.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:x@acme.example?Replaces=" + url.PathEscape(replaces(to)) + ">"})
	d.p.reply(202)
	d.sipfrag("SIP/2.0 100 Trying", false)
}

// Who transfers may hang up while the other phone still rings: the call that comes of it is as any other.
func TestATransferToAPhoneThatRings(t *testing.T) {
	for _, answers := range []bool{true, false} {
		s := newSite(t)
		a, b, c := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA")
		first, far := s.talk(a, b)
		second := a.dial("sip:" + carol.String())
		ringing := c.rung()
		ringing.respond(180, nil)
		second.theirs = a.reply(180).ToTag
		first.refer(second)
		first.sipfrag("SIP/2.0 200 OK", true)
		first.bye()
		a.reply(487)
		if !answers {
			ringing.respond(486, nil)
			far.bye()
			s.allEnded(2)
			continue
		}
		far.sound(sdp.RecvOnly)
		ringing.pickUp()
		far.sound(sdp.SendRecv)
		s.until("bob hears carol", func() bool { return s.paths[len(s.paths)-1] == "relay" })
		s.untilFree("the call is one that talks", func() bool {
			live := s.x.Live(acme)
			return len(live) == 1 && live[0].State == telephony.CallTalking && !live[0].AnsweredAt.IsZero()
		})
		ringing.hangUp()
		far.bye()
		for _, r := range s.allEnded(2) {
			if r.AnsweredAt.IsZero() {
				t.Errorf("call %s from %s was answered, and has no time of that", r.ID, r.Caller)
			}
		}
	}
}
