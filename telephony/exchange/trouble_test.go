package exchange_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// TestACancelThatOvertakesItsInviteHolds sends CANCELs while the INVITEs still wait for their turn.
func TestACancelThatOvertakesItsInviteHolds(t *testing.T) {
	s := newSite(t, func(cfg *exchange.Config) { cfg.Limits.UserCalls = 1000 })
	a, b := s.phone(alice), s.phone(bob)
	const calls = 200
	for range calls {
		a.dial("sip:" + bob.String()).cancel("")
	}
	for range calls {
		a.reply(487)
	}
	s.until("the end of bob's ringing", func() bool { return len(b.cancels) == len(b.requests) })
}

func TestCallsOfALostNodeAreEnded(t *testing.T) {
	first := newSite(t)
	a, b := first.phone(alice), first.phone(bob)
	first.talk(a, b)
	var held telephony.CallChange
	first.until("the answered call in history", func() bool {
		for _, c := range first.written {
			if c.Record.State == telephony.CallTalking {
				held = c
			}
		}
		return held.State != ""
	})

	second := newSite(t, func(c *exchange.Config) {
		h := c.Ports.History.(history)
		h.held = []telephony.CallChange{held, {Record: telephony.CallRecord{Account: acme, ID: "unreadable", State: telephony.CallTalking,
			Legs: []telephony.LegRecord{{Leg: 1}}}, State: "?"}}
		h.phones[a.flow.ID], h.phones[b.flow.ID] = a, b
	})
	a.site, b.site = second, second
	for _, p := range []*phone{a, b} {
		d := p.newDialog("")
		if bye := d.bye(); header(bye.Headers, "Reason") == "" {
			t.Error("BYE does not say why")
		}
	}
	for _, r := range second.allEnded(2) {
		if r.Cause.Who != telephony.Network || r.EndedAt.IsZero() || r.Legs[0].Cause.Code == 0 {
			t.Errorf("call %s ended by %v at %v: %+v", r.ID, r.Cause, r.EndedAt, r.Legs)
		}
	}
}

func TestHistoryWaitsForTheStore(t *testing.T) {
	s := newSite(t)
	s.mu.Lock()
	s.away = true
	s.mu.Unlock()
	a, b := s.phone(alice), s.phone(bob)
	caller, callee := s.talk(a, b)
	caller.hangUp()
	callee.bye()
	s.untilFree("a failed attempt", func() bool { return s.x.Counters().Unwritten > 0 })
	s.mu.Lock()
	s.away = false
	s.mu.Unlock()
	s.ended()
}

// What is over before its change is fetched is written once, as it ended, without the state that only a call that lasts has.
func TestACallThatIsOverIsWrittenOnce(t *testing.T) {
	s := newSite(t)
	away := func(is bool) {
		s.mu.Lock()
		s.away = is
		s.mu.Unlock()
	}
	a, b := s.phone(alice), s.phone(bob)
	call := func() {
		caller, callee := s.talk(a, b)
		caller.hangUp()
		callee.bye()
	}
	away(true)
	call()
	s.untilFree("a failed attempt", func() bool { return s.x.Counters().Unwritten > 0 })
	for range 3 { // while the first batch is tried again
		call()
	}
	away(false)
	s.allEnded(4)
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := map[telephony.CallID]int{}
	for _, c := range s.written {
		rows[c.Record.ID]++
	}
	once := 0
	for _, c := range s.written {
		if rows[c.Record.ID] == 1 && c.Record.State == telephony.CallEnded && c.State == "" && len(c.Record.Legs) == 2 {
			once++
		}
	}
	if once < 3 {
		t.Errorf("%d of 3 calls were written once, as they ended: %d rows in all", once, len(s.written))
	}
}

func TestFullHistoryDropsTheOldestAndCounts(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.Changes = 1 })
	s.mu.Lock()
	s.away = true
	s.mu.Unlock()
	a, b := s.phone(alice), s.phone(bob)
	for range 3 {
		caller, callee := s.talk(a, b)
		caller.hangUp()
		callee.bye()
	}
	s.untilFree("a dropped change", func() bool { return s.x.Counters().Dropped > 0 })
}

// panics breaks when a certain number is called.
type panics struct{}

func (p panics) Next(ctx context.Context, q callswitch.Question) callswitch.Routed {
	if q.Dialled == "sip:boom@acme.example" {
		panic("as asked for")
	}
	return callswitch.Routed{Refused: &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 404, Text: "nobody"}}}
}

func TestPanicEndsOneCallAlone(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Ports.Next, c.Workers = panics{}, 1 })
	a := s.phone(alice)
	a.dial("sip:boom@acme.example")
	a.reply(500)
	a.dial("sip:else@acme.example")
	a.reply(404)
	if n := s.x.Counters().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
	for _, r := range s.allEnded(2) {
		if r.Cause.Code != 500 && r.Cause.Code != 404 {
			t.Errorf("ended by %v", r.Cause)
		}
	}
	s.until("all media closed", func() bool { return len(s.open) == 0 })
}

func TestPanicInATalkingCallHangsUp(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller, callee := s.talk(a, b)
	s.mu.Lock()
	s.breaks = true // the media panics when it is told something
	s.mu.Unlock()
	caller.offer("sendrecv")
	caller.bye()
	callee.bye()
	if r := s.ended(); r.Cause.Code != 500 {
		t.Errorf("ended by %v", r.Cause)
	}
}

// What a panic says may hold parts of a message, and is not logged; where it was is.
func TestWhatAPanicSaysIsNotLogged(t *testing.T) {
	var log strings.Builder
	s := newSite(t, func(c *exchange.Config) {
		c.Ports.Next, c.Workers, c.Logger = panics{}, 1, slog.New(slog.NewTextHandler(&log, nil))
	})
	a := s.phone(alice)
	a.dial("sip:boom@acme.example")
	a.reply(500)
	s.ended()
	s.stop()
	if got := log.String(); !strings.Contains(got, "panics.Next") || strings.Contains(got, "as asked for") {
		t.Error(got)
	}
}

// The request that brought a panic about is answered all the same: its transaction would wait for that for ever.
func TestPanicIsAnswered(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller, callee := s.talk(a, b)
	s.mu.Lock()
	s.breaks = true
	s.mu.Unlock()
	body, _, err := caller.side.Offer(sdp.Offering{Security: sdp.SDES, Direction: sdp.SendOnly, Codecs: a.codecs})
	if err != nil {
		t.Fatal(err)
	}
	caller.send("UPDATE", body)
	a.reply(500)
	caller.bye()
	callee.bye()
	s.ended()
}

func TestLimits(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.UserCalls = 1 })
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	caller, callee := s.talk(a, b)
	c.dial("sip:" + bob.String())
	if r := c.reply(486); header(r.Headers, "Reason") == "" {
		t.Error("486 without a Reason")
	}
	s.untilFree("both timelines say why", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.noted[carol]) == 1 && len(s.noted[bob]) == 1 && strings.Contains(s.noted[bob][0].Text, "A call from 1003@acme.example failed.")
	})
	a.dial("sip:" + carol.String())
	if r := a.reply(480); header(r.Headers, "Reason") == "" || header(r.Headers, "Retry-After") == "" {
		t.Errorf("480 without Reason and Retry-After: %v", r.Headers)
	}
	caller.hangUp()
	callee.bye()
	s.allEnded(3)
	s.untilFree("room again", func() bool { return s.x.Counters().Live == 0 })
	caller, callee = s.talk(a, b)
	caller.hangUp()
	callee.bye()
}

func TestFullNodeTakesNoNewCallsAndServesThoseThatAre(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Limits.Calls = 1 })
	a, b := s.phone(alice), s.phone(bob)
	caller, callee := s.talk(a, b)
	d := a.newDialog("sip:" + carol.String())
	if s.x.Take(d.request(a.tx(), "INVITE", nil, nil)) {
		t.Error("a call beyond the limit was taken")
	}
	if s.x.Counters().Refused != 1 {
		t.Error("it was not counted")
	}
	caller.hangUp()
	callee.bye()
	s.ended()
}

func TestWithoutPortsCallersAreToldWhenToComeBack(t *testing.T) {
	s := newSite(t)
	a := s.phone(alice)
	s.phone(bob)
	s.mu.Lock()
	s.noPorts = true
	s.mu.Unlock()
	a.dial("sip:" + bob.String())
	if r := a.reply(503); header(r.Headers, "Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	r := s.ended()
	s.until("a note for alice", func() bool { return len(s.notes) > 0 && s.notes[0].Code == 503 })
	if r.Cause.Who != telephony.Switch {
		t.Errorf("cause %v", r.Cause)
	}
}

// An offer without audio is refused for that, also where there are no ports: none are asked for.
func TestAnOfferWithoutAudioTakesNoPorts(t *testing.T) {
	s := newSite(t)
	a := s.phone(alice)
	s.phone(bob)
	s.mu.Lock()
	s.noPorts = true
	s.mu.Unlock()
	d := a.newDialog("sip:" + bob.String())
	d.send("INVITE", []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\nm=video 4002 RTP/AVP 96\r\n"))
	a.reply(488)
	if r := s.ended(); r.Cause.Code != 488 {
		t.Errorf("cause %v", r.Cause)
	}
}

func TestRequestsForNobodyGet481(t *testing.T) {
	s := newSite(t)
	a := s.phone(alice)
	d := a.newDialog("sip:unknown@sip.acme.example")
	d.theirs = "0123456789abcdef01234567-1-abc"
	d.send("BYE", nil)
	a.reply(481)
}

func TestSleepingPhoneIsRungWhenItRegisters(t *testing.T) {
	w := &woken{}
	s := newSite(t, func(c *exchange.Config) { c.Ports.Waker = w })
	a, b := s.phone(alice), s.phone(bob)
	awake := s.contacts[bob][0]
	s.contacts[bob] = []signal.Target{{URI: awake.URI, Q: 1000}}
	caller := a.dial("sip:" + bob.String())
	s.untilFree("a push", func() bool { return w.pushes.Load() == 1 })
	s.x.Registered(acme, bob, awake)
	callee := b.rung()
	callee.pickUp()
	caller.answered()
	caller.hangUp()
	callee.bye()
	s.ended()
}

type woken struct{ pushes atomic.Int64 }

func (w *woken) Wake(context.Context, account.ID, telephony.AoR, signal.Target) error {
	w.pushes.Add(1)
	return nil
}

func TestWatchersAndOperatorsSeeCalls(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller := a.dial("sip:" + bob.String())
	callee := b.rung()
	id := s.only()
	state := func(aor telephony.AoR) (string, bool, telephony.AoR) {
		all, err := s.x.Dialogs(t.Context(), acme, aor)
		if err != nil || len(all) != 1 {
			return "", false, telephony.AoR{}
		}
		return all[0].State, all[0].Initiator, all[0].Remote
	}
	if got, initiator, remote := state(bob); got != "early" || initiator || remote != alice {
		t.Errorf("bob is %s, initiator %v, with %s", got, initiator, remote)
	}
	callee.pickUp()
	caller.answered()
	s.untilFree("alice in a call", func() bool {
		got, initiator, remote := state(alice)
		return got == "confirmed" && initiator && remote == bob
	})
	if all, _ := s.x.Dialogs(t.Context(), "acc_other", alice); len(all) != 0 {
		t.Error("another account sees the dialog")
	}
	if err := s.x.Hangup("acc_other", id, telephony.Cause{}); err == nil {
		t.Error("another account hung up")
	}
	if err := s.x.Hangup(acme, id, telephony.Cause{Who: telephony.Person, Code: 200, Text: "by the admin"}); err != nil {
		t.Fatal(err)
	}
	caller.bye()
	callee.bye()
	if r := s.ended(); r.Cause.Who != telephony.Person {
		t.Errorf("cause %v", r.Cause)
	}
	s.untilFree("nobody in a call", func() bool { got, _, _ := state(alice); return got == "" && len(s.x.Live(acme)) == 0 })
}

func TestStopHangsUp(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller, callee := s.talk(a, b)
	done := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- s.x.Stop(ctx)
	}()
	caller.bye()
	callee.bye()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if r := s.ended(); r.Cause.Who != telephony.Switch || r.Cause.Code != 503 {
		t.Errorf("cause %v", r.Cause)
	}
}

// A phone that is gone does not make the stop fail: its call is closed in history all the same.
func TestStopDoesNotNeedThePhones(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	s.talk(a, b)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.x.Stop(ctx); err != nil {
		t.Error(err)
	}
	if r := s.ended(); r.Cause.Who != telephony.Switch || r.State != telephony.CallEnded {
		t.Errorf("%+v", r)
	}
}
