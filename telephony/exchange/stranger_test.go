package exchange_test

import (
	"testing"

	"demarc/telephony"
)

// Whoever knows all names of a call but is of another account can neither take it over, nor listen, nor act within it.
func TestAnotherAccountReachesNoCall(t *testing.T) {
	s := newSite(t)
	caller, callee := s.talk(s.phone(alice), s.phone(bob))
	stranger := s.phone(telephony.AoR{User: "mallory", Domain: "elsewhere.example"})
	stranger.account = "acc_elsewhere"
	namesake := s.phone(alice)
	namesake.account = stranger.account
	for _, p := range []*phone{stranger, namesake} {
		for _, name := range []string{"Replaces", "Join"} {
			p.dial("sip:"+bob.String(), telephony.Header{Name: name, Value: callee.callID + ";to-tag=" + callee.theirs + ";from-tag=" + callee.mine})
			p.reply(481)
			p.dial("sip:"+bob.String(), telephony.Header{Name: name, Value: caller.callID + ";to-tag=" + caller.theirs + ";from-tag=" + caller.mine})
			p.reply(481)
		}
		stolen := *caller
		stolen.p, stolen.seq = p, 100
		for _, method := range []string{"BYE", "INVITE", "UPDATE", "INFO", "REFER"} {
			stolen.send(method, nil)
			if r := p.reply(407); !r.Challenge {
				t.Errorf("a stranger's %s gets %+v", method, r)
			}
		}
	}
	if got := s.paths[len(s.paths)-1]; got != "relay" {
		t.Errorf("the sound of the call goes by %s", got)
	}
	callee.hangUp()
	caller.bye()
	if r := s.ended(); r.Cause.Code != 200 || len(r.Legs) != 2 {
		t.Errorf("history: %+v", r)
	}
}
