package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// A worker has calls in the memory of those before them. Nothing of those is to be seen in the next ones, and what still comes for
// them reaches nobody else's.
func TestNothingOfACallIsSeenInTheNext(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Workers = 1 })
	a, b := s.phone(alice, "PCMA"), s.phone(bob, "PCMA")
	caller := a.dial("sip:"+bob.String(), telephony.Header{Name: "Subject", Value: "lunch"}, telephony.Header{Name: "User-Agent", Value: "Phone 1.0"})
	callee := b.rung()
	callee.respond(180, nil)
	a.reply(180)
	callee.pickUp()
	caller.answered()
	caller.offer(sdp.SendOnly) // with all that hold changes
	a.reply(200)
	caller.ack(nil)
	callee.sound(sdp.RecvOnly)
	caller.hangUp()
	callee.bye()
	first := s.ended()

	c, d := s.phone(carol, "PCMU"), s.phone(telephony.NewAoR("1004", "acme.example"), "PCMU")
	next, nexts := s.talk(c, d)
	late := a.tx()
	for _, take := range []signal.Event{&signal.Ack{Tx: caller.invite}, &signal.Cancel{Tx: caller.invite},
		caller.request(late, "BYE", nil, nil)} {
		s.x.Take(take)
	}
	a.reply(481)
	next.hangUp()
	nexts.bye()
	second := s.allEnded(2)[1]

	var seen strings.Builder
	s.mu.Lock()
	for _, p := range []*phone{c, d} {
		for _, o := range p.requests {
			fmt.Fprintf(&seen, "%+v %s\n", *o, o.Body)
		}
		for _, r := range p.replies {
			fmt.Fprintf(&seen, "%+v %s\n", *r, r.Body)
		}
	}
	s.mu.Unlock()
	fmt.Fprintf(&seen, "%+v %s\n%+v", *nexts.incoming, nexts.incoming.Body, second)
	for _, of := range []string{alice.String(), bob.String(), "lunch", "Phone 1.0", "PCMA", "sendonly", string(first.ID), caller.mine, callee.mine,
		a.flow.Remote.String(), b.flow.Remote.String()} {
		if strings.Contains(seen.String(), of) {
			t.Errorf("%q of the first call is seen in the second:\n%s", of, seen.String())
		}
	}
	if second.Caller != carol || len(second.Legs) != 2 || second.Cause.Code != 200 || second.Legs[1].Media.Received != 42 {
		t.Errorf("%+v", second)
	}
}
