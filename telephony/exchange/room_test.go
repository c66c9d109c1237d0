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
