package exchange_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
)

func TestBlindTransfer(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	caller, callee := s.talk(a, b)
	callee.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + ">"})
	b.reply(202)
	callee.sipfrag("SIP/2.0 100 Trying", false)

	third := c.rung()
	if from := header(third.incoming.Headers, "From"); !strings.Contains(from, alice.String()) {
		t.Errorf("carol is called by %s, want alice", from)
	}
	if by := header(third.incoming.Headers, "Referred-By"); !strings.Contains(by, bob.String()) {
		t.Errorf("Referred-By: %s, want bob", by)
	}
	third.respond(180, nil)
	callee.sipfrag("SIP/2.0 180 Ringing", false)
	caller.musicMeanwhile()
	third.pickUp()
	callee.sipfrag("SIP/2.0 200 OK", true)
	caller.sound(sdp.SendRecv)
	callee.hangUp()
	s.until("alice hears carol", func() bool { return s.paths[len(s.paths)-1] == "relay" })
	third.hangUp()
	caller.bye()
	r := s.ended()
	if len(r.Legs) != 3 || r.Legs[2].AoR != carol {
		t.Errorf("legs %+v", r.Legs)
	}
}

func TestBlindTransferThatFailsGivesTheCallBack(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	caller, callee := s.talk(a, b)
	callee.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + ">"})
	b.reply(202)
	callee.sipfrag("SIP/2.0 100 Trying", false)
	third := c.rung()
	caller.musicMeanwhile()
	third.respond(486, nil)
	callee.sipfrag("SIP/2.0 486", true)
	caller.sound(sdp.SendRecv)
	s.until("both hear each other again", func() bool { return s.paths[len(s.paths)-1] == "relay" })
	caller.hangUp()
	callee.bye()
	s.ended()
}

func TestTransferorWhoDoesNotHangUpIsHungUp(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA")
	caller, _ := s.talk(a, b)
	if err := s.x.Transfer(acme, s.only(), 3, carol); !errors.Is(err, telephony.ErrNoLeg) {
		t.Errorf("a leg that is not there: %v", err)
	}
	if err := s.x.Transfer("acc_other", s.only(), 2, carol); !errors.Is(err, telephony.ErrNoCall) {
		t.Errorf("another account: %v", err)
	}
	if err := s.x.Transfer(acme, s.only(), 2, carol); err != nil {
		t.Fatal(err)
	}
	third := c.rung()
	caller.musicMeanwhile()
	third.pickUp()
	caller.sound(sdp.SendRecv)
	b.incoming("BYE")
	caller.hangUp()
	third.bye()
}

func TestAttendedTransferByReplaces(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	first, far := s.talk(a, b)
	second, other := s.talk(a, c)
	named := url.PathEscape(second.callID + ";to-tag=" + second.theirs + ";from-tag=" + second.mine)
	first.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + "?Replaces=" + named + ">"})
	a.reply(202)
	first.sipfrag("SIP/2.0 100 Trying", false)
	first.sipfrag("SIP/2.0 200 OK", true)
	first.bye()
	second.bye()
	s.until("bob hears carol", func() bool { return s.paths[len(s.paths)-1] == "relay" })
	far.hangUp()
	other.bye()
	records := s.allEnded(2)
	for _, r := range records {
		if r.Cause.Code != 200 {
			t.Errorf("call %s ended by %v", r.ID, r.Cause)
		}
	}
}

func TestOnlyWhoHasTheCallTransfersToIt(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	first, far := s.talk(a, b)
	_, other := s.talk(b, c)
	named := url.PathEscape(other.callID + ";to-tag=" + other.theirs + ";from-tag=" + other.mine)
	first.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + "?Replaces=" + named + ">"})
	a.reply(202)
	first.sipfrag("SIP/2.0 100 Trying", false)
	first.sipfrag("SIP/2.0 403", true)
	first.hangUp()
	far.bye()
	s.ended()
}

func TestReplacesFromAPhone(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	caller, callee := s.talk(a, b)
	named := callee.callID + ";to-tag=" + callee.theirs + ";from-tag=" + callee.mine
	c.dial("sip:"+alice.String(), telephony.Header{Name: "Replaces", Value: named + ";early-only"})
	c.reply(486)
	third := c.dial("sip:"+alice.String(), telephony.Header{Name: "Replaces", Value: named})
	third.answered()
	callee.bye()
	s.until("alice hears carol", func() bool { return s.paths[len(s.paths)-1] == "relay" })
	for header, status := range map[telephony.Header]int{ // RFC 3891 §3: it is known that bob has left
		{Name: "Replaces", Value: named}:       603,
		{Name: "Join", Value: named}:           603,
		{Name: "Replaces", Value: named + "x"}: 481,
	} {
		c.dial("sip:"+alice.String(), header)
		c.reply(status)
	}
	third.hangUp()
	caller.bye()
	s.ended()

	gone := c.dial("sip:"+alice.String(), telephony.Header{Name: "Replaces", Value: "x;to-tag=y;from-tag=z"})
	c.reply(481)
	_ = gone
}

// What names a dialog twice, or badly, names none (RFC 3891 §3, RFC 3911 §4).
func TestWhatNamesADialogBadlyIsRefused(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	_, callee := s.talk(a, b)
	named := replaces(callee)
	for name, headers := range map[string][]telephony.Header{
		"two Replaces":      {{Name: "Replaces", Value: named}, {Name: "Replaces", Value: named}},
		"two in one line":   {{Name: "Replaces", Value: named + ", " + named}},
		"Replaces and Join": {{Name: "Replaces", Value: named}, {Name: "Join", Value: named}},
		"two Joins":         {{Name: "Join", Value: named}, {Name: "Join", Value: named}},
		"no tags":           {{Name: "Replaces", Value: callee.callID}},
		"one tag twice":     {{Name: "Join", Value: named + ";to-tag=x"}},
	} {
		c.dial("sip:"+alice.String(), headers...)
		t.Log(name)
		c.reply(400)
	}
	s.tells(carol, 400, "cannot be read")
}

// Every phone that joins needs ports, so that one user has no more of them than he may have calls.
func TestNobodyJoinsWithoutEnd(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.UserCalls = 3 })
	a, b := s.phone(alice, "PCMA"), s.phone(bob, "PCMA")
	_, callee := s.talk(a, b)
	named := telephony.Header{Name: "Join", Value: replaces(callee)}
	for range 2 {
		a.dial("sip:"+bob.String(), named).answered()
	}
	for range 5 {
		a.dial("sip:"+bob.String(), named)
		a.reply(480)
	}
	if n := s.ports(); n != 4 {
		t.Errorf("%d legs have ports, want 4", n)
	}
}

// Who has all the calls that he may have takes one of them over from another phone of his.
func TestWhoHasNoCallLeftTakesHisOwnOver(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.UserCalls = 1 })
	a, b := s.phone(alice, "PCMA"), s.phone(bob, "PCMA")
	caller, _ := s.talk(a, b)
	second := s.phone(alice, "PCMA")
	second.dial("sip:"+bob.String(), telephony.Header{Name: "Replaces", Value: replaces(caller)}).answered()
	caller.bye()
	s.untilFree("the ports of who was replaced are free", func() bool { return s.ports() == 2 })
}

func (s *site) ports() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func TestConferenceOfThree(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice, "opus", "PCMA"), s.phone(bob, "opus", "PCMA"), s.phone(carol, "PCMA")
	first, second := s.talk(a, b)
	one := s.only()
	mine, third := s.talk(a, c)
	var two telephony.CallID
	s.untilFree("both calls", func() bool {
		for _, r := range s.x.Live(acme) {
			if r.ID != one {
				two = r.ID
			}
		}
		return two != ""
	})
	for want, err := range map[error]error{
		telephony.ErrNoCall:    s.x.Conference("acc_other", two, 1, one),
		telephony.ErrNoLeg:     s.x.Conference(acme, two, 3, one),
		telephony.ErrNotInBoth: s.x.Conference(acme, two, 2, one), // carol is in one alone
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if err := s.x.Conference(acme, two, 1, two); !errors.Is(err, telephony.ErrNotInBoth) {
		t.Errorf("with itself: %v", err)
	}
	if err := s.x.Conference(acme, two, 1, one); err != nil {
		t.Fatal(err)
	}
	mine.bye()
	for _, d := range []*dialog{first, second} {
		o := d.p.incoming("INVITE")
		if got := d.answer(o, sdp.SendRecv); got.Audio.Codec.Name != "PCMA" {
			t.Errorf("%s is mixed in %s", d.p.aor, got.Audio.Codec.Name)
		}
		d.p.incoming("ACK")
	}
	s.until("a mix of three", func() bool { return slices.Contains(s.paths, "mix 3") })
	third.hangUp()
	s.until("a call of two again", func() bool { return s.paths[len(s.paths)-1] == "relay" })
	first.hangUp()
	second.bye()
	s.allEnded(2)
}

func TestAForwardingPhoneIsFollowedOnItsUsersRights(t *testing.T) {
	asked := &asks{}
	s := newSite(t, func(c *exchange.Config) { asked.contacts = c.Ports.Contacts; c.Ports.Next = asked })
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	a.dial("sip:" + bob.String())
	b.rung().redirect("sip:nobody@acme.example")
	a.reply(404)
	if q := asked.last(); q.Why != callswitch.Forwarded || q.By != bob || q.Caller != alice || q.Last != bob {
		t.Errorf("it is asked %+v, want on bob's rights", q)
	}
	asked.mu.Lock()
	asked.forbids = carol // bob may not call her, whatever alice may
	asked.mu.Unlock()
	a.dial("sip:" + bob.String())
	b.rung().redirect("sip:" + carol.String())
	a.reply(403)
	asked.mu.Lock()
	asked.forbids = telephony.AoR{}
	asked.mu.Unlock()

	forward := a.dial("sip:" + bob.String())
	d := b.rung()
	d.redirect("sip:" + carol.String())
	third := c.rung()
	third.pickUp()
	forward.answered()
	forward.hangUp()
	third.bye()
	s.allEnded(3)
}

// asks decides where calls go as the exchange does by itself, but forbids bob somebody.
type asks struct {
	contacts exchange.Contacts
	mu       sync.Mutex
	all      []callswitch.Question
	forbids  telephony.AoR
}

func (a *asks) last() callswitch.Question {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[len(a.all)-1]
}

func (a *asks) Next(ctx context.Context, q callswitch.Question) callswitch.Routed {
	a.mu.Lock()
	a.all = append(a.all, q)
	forbidden := q.By == bob && q.Dialled == "sip:"+a.forbids.String()
	a.mu.Unlock()
	refused := func(code int, text string) callswitch.Routed {
		return callswitch.Routed{Refused: &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: code, Text: text}}}
	}
	aor, _ := telephony.ParseAoR(strings.TrimPrefix(q.Dialled, "sip:"))
	targets, err := a.contacts.Targets(ctx, q.Account, aor)
	switch {
	case forbidden:
		return refused(403, "He may not call there.")
	case err != nil:
		return refused(404, "Nobody has that address.")
	}
	return callswitch.Routed{Callee: aor, Targets: targets}
}

func TestUsersWhoForwardToEachOtherAreStopped(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	a.dial("sip:" + bob.String())
	for range 5 {
		b.rung().redirect("sip:" + carol.String())
		c.rung().redirect("sip:" + bob.String())
	}
	b.rung().redirect("sip:" + carol.String())
	a.reply(482)
	s.ended()
}
