package exchange_test

import (
	"testing"

	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/exchange"
)

// Who has passed calls on is free for others while those last.
func TestWhoHasLeftACallHasRoomForAnother(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.UserCalls = 1 })
	dave := telephony.NewAoR("1004", "acme.example")
	a, b, c, d := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA"), s.phone(dave, "PCMA")
	_, callee := s.talk(a, b)
	d.dial("sip:" + bob.String())
	d.reply(486)
	callee.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + ">"})
	b.reply(202)
	third := c.rung()
	third.pickUp()
	callee.hangUp()
	s.untilFree("bob is in no call", func() bool { return len(dialogs(t, s, bob)) == 0 })
	d.dial("sip:" + bob.String())
	b.rung().respond(486, nil)
	d.reply(486)
	d.dial("sip:" + carol.String())
	d.reply(486)
}

func dialogs(t *testing.T, s *site, aor telephony.AoR) []events.Dialog {
	t.Helper()
	all, err := s.x.Dialogs(t.Context(), acme, aor)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Who takes calls over has a limit of his own, and whose call that was has nothing to do with it.
func TestWhoTakesACallOverHasALimitToo(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.UserCalls = 1 })
	dave := telephony.NewAoR("1004", "acme.example")
	a, b, c, d := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA"), s.phone(dave, "PCMA")
	caller, callee := s.talk(a, b)
	other, dave1 := s.talk(c, d)
	c.dial("sip:"+alice.String(), telephony.Header{Name: "Replaces", Value: replaces(callee)})
	if r := c.reply(480); header(r.Headers, "Reason") == "" {
		t.Error("480 without a Reason")
	}
	s.tells(carol, 480, "taken over or joined")
	other.hangUp()
	dave1.bye()
	s.untilFree("carol is in no call", func() bool { return s.x.Counters().Live == 1 })

	caller.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + ">"})
	a.reply(202)
	third := c.rung()
	third.pickUp()
	caller.hangUp()
	s.untilFree("alice is in no call", func() bool { return len(dialogs(t, s, alice)) == 0 })
	d.dial("sip:"+bob.String(), telephony.Header{Name: "Replaces", Value: replaces(third) + ";early-only"})
	d.reply(486)
	for _, p := range []*phone{a, d} { // neither is in a call
		p.dial("sip:nobody@acme.example")
		p.reply(404)
	}
}

// A phone that has gone away with a call keeps nobody from the next one.
func TestWhoHungUpIsFreeThoughTheOtherPhoneIsGone(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.UserCalls = 1 })
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	caller, _ := s.talk(a, b)
	caller.hangUp()
	b.incoming("BYE") // and nothing comes back
	s.ended()
	a.dial("sip:" + carol.String())
	c.rung()
	if live := s.x.Counters().Live; live != 2 {
		t.Errorf("%d calls are there, want the one that waits for an answer to its BYE too", live)
	}
}

// Nor does such a call keep others from theirs, in the account and at the node.
func TestACallThatWaitsForABYECountsAgainstNoLimit(t *testing.T) {
	for name, limit := range map[string]struct {
		set    func(*exchange.Config)
		status int
	}{
		"of the account": {func(c *exchange.Config) { c.Limits.AccountCalls = 1 }, 480},
		"of the node":    {func(c *exchange.Config) { c.Limits.Calls = 1 }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, limit.set)
			a, b, c, d := s.phone(alice), s.phone(bob), s.phone(carol), s.phone(telephony.NewAoR("1004", "acme.example"))
			caller, _ := s.talk(a, b)
			caller.hangUp()
			b.incoming("BYE") // and nothing comes back
			s.ended()
			third := c.dial("sip:" + alice.String())
			callee := a.rung()
			callee.pickUp()
			third.answered()
			if live := s.x.Counters().Live; live != 2 {
				t.Errorf("%d calls are there, want the one that waits for an answer to its BYE too", live)
			}
			more := d.newDialog("sip:" + bob.String())
			s.x.Take(more.request(d.tx(), "INVITE", nil, nil)) // the one that lasts counts
			s.tells(d.aor, limit.status, "calls")
			third.hangUp()
			callee.bye()
			s.untilFree("only the first call is left", func() bool { return s.x.Counters().Live == 1 })
			d.dial("sip:" + carol.String())
			c.rung()
		})
	}
}
