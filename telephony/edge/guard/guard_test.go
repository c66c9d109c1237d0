package guard_test

import (
	"net/netip"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge/guard"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
)

func limits() guard.Limits {
	return guard.Limits{
		Connections: 5, SourceConnections: 4, HalfOpen: 3, SourceHalfOpen: 2, Patience: time.Nanosecond,
		Admission: 10, Guesses: 3, GuessRefill: time.Minute, SourceWrong: 5, SourceRequests: 20, Window: time.Hour, Ban: time.Hour,
		Trust: 24 * time.Hour,
	}
}

// admit lets one in that must be let in, and counts when it is displaced.
func admit(t *testing.T, c *guard.Connections, from netip.Addr, displaced *int) *guard.Ticket {
	t.Helper()
	ticket, full := c.Admit(from, func() { *displaced++ })
	if ticket == nil {
		t.Fatalf("a connection from %s: %s", from, full)
	}
	return ticket
}

func TestOldestHalfOpenGoes(t *testing.T) {
	c := guard.NewConnections(limits())
	var first, second, other int
	one := admit(t, c, here, &first)
	two := admit(t, c, here, &second)
	admit(t, c, here, &other) // the third of one source: its oldest goes
	if first != 1 || second != 0 {
		t.Fatalf("displaced: the first %d times, the second %d times", first, second)
	}
	c.Leave(one)
	c.First(two)
	admit(t, c, there, &other)
	admit(t, c, there, &other)
	if other != 0 || second != 0 || c.HalfOpen() != 3 {
		t.Errorf("displaced: %d others, the second %d times; %d are half open", other, second, c.HalfOpen())
	}
	c.Leave(two)
	if c.HalfOpen() != 3 {
		t.Errorf("%d are half open after one left that was not", c.HalfOpen())
	}
}

func TestPatience(t *testing.T) {
	l := limits()
	l.Patience = time.Hour
	c := guard.NewConnections(l)
	var displaced int
	one := admit(t, c, here, &displaced)
	admit(t, c, here, &displaced)
	if ticket, full := c.Admit(here, nil); ticket != nil || full != "half_open" {
		t.Errorf("a third one: %v, %q", ticket, full)
	}
	c.First(one)
	admit(t, c, here, &displaced)
	if displaced != 0 {
		t.Errorf("%d were displaced", displaced)
	}
}

func TestFull(t *testing.T) {
	c := guard.NewConnections(limits())
	var displaced int
	var all []*guard.Ticket
	for range 4 {
		ticket := admit(t, c, here, &displaced)
		c.First(ticket)
		c.Proven(ticket)
		all = append(all, ticket)
	}
	if ticket, full := c.Admit(here, nil); ticket != nil || full != "source_connections" {
		t.Errorf("a fifth of one source: %v, %q", ticket, full)
	}
	fifth := admit(t, c, there, &displaced)
	c.Proven(fifth) // before its first message, as one that we have opened
	c.First(fifth)
	if ticket, full := c.Admit(there, nil); ticket != nil || full != "connections" {
		t.Errorf("a sixth in total: %v, %q", ticket, full)
	}
	c.Leave(all[0])
	admit(t, c, here, &displaced)
	if displaced != 0 {
		t.Errorf("%d were displaced", displaced)
	}
}

// When there are too many connections the oldest stranger goes, and his place is free at once.
func TestStrangersMakeRoom(t *testing.T) {
	l := limits()
	l.SourceConnections = 5
	c := guard.NewConnections(l)
	var known, stranger, other int
	phone := admit(t, c, here, &known)
	c.First(phone)
	c.Proven(phone)
	oldest := admit(t, c, here, &stranger)
	c.First(oldest)
	for range 3 {
		c.First(admit(t, c, here, &other))
	}
	last := admit(t, c, there, &other)
	if stranger != 1 || other != 0 || known != 0 {
		t.Errorf("displaced: the oldest stranger %d times, others %d, the phone %d times", stranger, other, known)
	}
	c.First(oldest) // it was reading
	c.Leave(oldest)
	c.First(last)
	admit(t, c, there, &known)
	if stranger != 1 || other != 1 || known != 0 || c.HalfOpen() != 1 {
		t.Errorf("displaced: the oldest stranger %d times, others %d, the phone %d times; %d are half open", stranger, other, known, c.HalfOpen())
	}

	l.Patience = time.Hour
	c = guard.NewConnections(l)
	for range 5 {
		c.First(admit(t, c, here, &known))
	}
	if ticket, full := c.Admit(there, nil); ticket != nil || full != "connections" {
		t.Errorf("in the first hour: %v, %q", ticket, full)
	}
}

// A bad program behind an office's address must not take the places of the office's phones: its oldest connection goes for the newest.
func TestStrangersOfOneSourceMakeRoom(t *testing.T) {
	l := limits()
	l.Connections, l.HalfOpen = 20, 20
	c := guard.NewConnections(l)
	var known, elsewhere, stranger, other int
	phone := admit(t, c, here, &known)
	c.First(phone)
	c.Proven(phone)
	c.First(admit(t, c, there, &elsewhere)) // an older stranger, but not of this source
	c.First(admit(t, c, here, &stranger))
	for range 2 {
		c.First(admit(t, c, here, &other))
	}
	newest := admit(t, c, here, &other)
	if stranger != 1 || known+elsewhere+other != 0 {
		t.Errorf("displaced: the source's oldest stranger %d times, others %d, its phone %d, another source's %d", stranger, other, known, elsewhere)
	}
	c.First(newest)
	c.Proven(newest)
	admit(t, c, here, &other)
	admit(t, c, here, &other)
	if got := admit(t, c, here, &other); got == nil || c.HalfOpen() != 2 {
		t.Errorf("%d are half open of one source", c.HalfOpen())
	}
	if known+elsewhere != 0 {
		t.Errorf("displaced: its phone %d times, another source's %d", known, elsewhere)
	}
}

// books returns empty ones, and what moves their clock.
func books(l guard.Limits, proxies ...netip.Prefix) (s *guard.Standing, wait func(time.Duration)) {
	now := time.Now()
	return guard.NewStanding(l, proxies, func() time.Time { return now }), func(d time.Duration) { now = now.Add(d) }
}

func caller(s *guard.Standing, user, callID string, from netip.Addr) *guard.Caller {
	c := s.Caller(telephony.AoR{User: user, Domain: "example.com"}, from)
	c.CallID = callID
	return &c
}

func TestGuesses(t *testing.T) {
	s, wait := books(limits())
	guesses := func() *guard.Caller { return caller(s, "alice", "guess", here) }
	for i := range 3 {
		if !s.MayGuess(guesses()) {
			t.Fatalf("silence after %d wrong answers", i)
		}
		if spent := s.Wrong(guesses()); spent != (i == 2) {
			t.Errorf("wrong answer %d: spent %v", i, spent)
		}
	}
	s.Proven(caller(s, "alice", "her own phone", here), time.Now())
	switch {
	case s.MayGuess(guesses()):
		t.Error("a fourth answer is taken")
	case !s.MayGuess(caller(s, "alice", "her own phone", here)):
		t.Error("the phone that proved who it is is not heard")
	case !s.MayGuess(caller(s, "alice", "guess", there)):
		t.Error("another source is not heard")
	case !s.MayGuess(caller(s, "bob", "guess", here)):
		t.Error("an answer for another user is not heard")
	}
	wait(time.Minute)
	if !s.MayGuess(guesses()) {
		t.Error("the budget does not refill")
	}
	if s.Wrong(guesses()) {
		t.Error("it is told again while the guessing goes on")
	}
	wait(4 * time.Minute)
	for i := range 3 {
		if spent := s.Wrong(guesses()); spent != (i == 2) {
			t.Errorf("wrong answer %d after a pause: spent %v", i, spent)
		}
	}
}

// The clock may be set back: a ban, a window and a lost guess last no longer than they do.
func TestClockIsSetBack(t *testing.T) {
	l := limits()
	for name, back := range map[string]time.Duration{"three hours": 3 * time.Hour, "a year": 365 * 24 * time.Hour} {
		s, wait := books(l)
		for !s.Banned(here) {
			s.Wrong(caller(s, "alice", "guess", here))
		}
		s.Asked(there)
		wait(-back)
		wait(l.Ban)
		if !s.MayGuess(caller(s, "alice", "new phone", here)) {
			t.Errorf("%s back: guesses do not come back", name)
		}
		if s.Banned(here) {
			t.Errorf("%s back: the ban does not end", name)
		}
		for range l.SourceRequests {
			s.Asked(there)
		}
		if s.Banned(there) {
			t.Errorf("%s back: the window does not end", name)
		}
	}
}

func TestBans(t *testing.T) {
	proxy, proxy6 := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:5::1")
	for name, c := range map[string]struct {
		from   netip.Addr
		before func(s *guard.Standing)
		does   func(s *guard.Standing, from netip.Addr)
		banned bool
	}{
		"asks":              {here, nil, func(s *guard.Standing, from netip.Addr) { s.Asked(from) }, true},
		"guesses":           {here, nil, func(s *guard.Standing, from netip.Addr) { s.Wrong(caller(s, "alice", "", from)) }, true},
		"a proxy":           {proxy, nil, func(s *guard.Standing, from netip.Addr) { s.Asked(from) }, false},
		"a proxy with IPv6": {proxy6, nil, func(s *guard.Standing, from netip.Addr) { s.Asked(from) }, false},
		"another with IPv6": {netip.MustParseAddr("2001:db8:6::1"), nil, func(s *guard.Standing, from netip.Addr) { s.Asked(from) }, true},
		"known yesterday": {here, func(s *guard.Standing) { s.Proven(caller(s, "bob", "", here), time.Now().Add(-23*time.Hour)) },
			func(s *guard.Standing, from netip.Addr) { s.Asked(from) }, false},
		"known long ago": {here, func(s *guard.Standing) { s.Proven(caller(s, "bob", "", here), time.Now().Add(-25*time.Hour)) },
			func(s *guard.Standing, from netip.Addr) { s.Asked(from) }, true},
	} {
		s, wait := books(limits(), netip.PrefixFrom(proxy, 32), netip.PrefixFrom(proxy6, 128))
		if c.before != nil {
			c.before(s)
		}
		for range 30 {
			c.does(s, c.from)
		}
		bans := s.Bans()
		if got := s.Banned(c.from); got != c.banned || (bans == 1) != c.banned {
			t.Errorf("%s: banned %t, want %t; %d bans", name, got, c.banned, bans)
		}
		if s.Banned(there) {
			t.Errorf("%s: another source is banned", name)
		}
		wait(time.Hour)
		if s.Banned(c.from) {
			t.Errorf("%s: the ban does not end", name)
		}
	}
}

// Who proves who they are ends the ban of their source.
func TestProofEndsBan(t *testing.T) {
	s, _ := books(limits())
	for range 30 {
		s.Asked(here)
	}
	if !s.Banned(here) {
		t.Fatal("not banned")
	}
	s.Proven(caller(s, "alice", "", here), time.Now())
	if s.Banned(here) {
		t.Error("still banned")
	}
}

// A host has as many addresses of its /64 as it likes.
func TestSourceIsOnePerHost(t *testing.T) {
	s, _ := books(limits())
	for range 30 {
		s.Asked(netip.MustParseAddr("2001:db8::1"))
	}
	if !s.Banned(netip.MustParseAddr("2001:db8::2")) || s.Banned(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("the ban is not of the /64")
	}
	if mapped := netip.MustParseAddr("::ffff:192.0.2.1"); guard.Source(mapped) != here {
		t.Errorf("%s counts as %s", mapped, guard.Source(mapped))
	}
}

func TestKnownDevice(t *testing.T) {
	s, _ := books(limits())
	phone := caller(s, "alice", "one", here)
	phone.Instance = "urn:uuid:1"
	own := s.Own(*phone)
	if own.Instance != "" || own.CallID != "" || s.Device(&own) != s.Device(phone) || own.AoR != phone.AoR {
		t.Errorf("without borrowed texts it is %+v", own)
	}
	if s.Recognises(phone) {
		t.Error("known before it proved anything")
	}
	s.Proven(&own, time.Now())
	moved := caller(s, "alice", "two", there)
	moved.Instance = "urn:uuid:1"
	if !s.Recognises(moved) {
		t.Error("a device with an instance is not known at another address")
	}
	if s.Recognises(caller(s, "alice", "one", here)) || s.Recognises(caller(s, "bob", "one", here)) {
		t.Error("another device is taken for it")
	}
}

// Known devices are always admitted, and take from the same budget as strangers.
func TestAdmission(t *testing.T) {
	for _, places := range []int{64, 5} {
		l := limits()
		l.Admission = places
		refused := false
		for range 10 { // the budget refills within a second, which a busy machine may take for one round
			s, _ := books(l)
			for range 1000 {
				if !s.Admit(true) {
					t.Fatal("a known device is not admitted")
				}
			}
			for range places {
				refused = refused || !s.Admit(false)
			}
		}
		if !refused {
			t.Errorf("a budget of %d does not know of known devices", places)
		}
		s, _ := books(l)
		for i := range places {
			if !s.Admit(false) {
				t.Errorf("stranger %d of %d is not admitted, and nobody else is there", i, places)
			}
		}
	}
}
