package registrar_test

import (
	"net/netip"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
)

// jumps are ways to set a clock. A machine may begin its life in 1970.
var jumps = map[string]time.Duration{
	"an hour ahead": time.Hour, "a year ahead": 365 * 24 * time.Hour, "fifty years ahead": 50 * 365 * 24 * time.Hour,
	"an hour back": -time.Hour, "a year back": -365 * 24 * time.Hour, "thirty years back": -30 * 365 * 24 * time.Hour,
}

// The clock may be set: nobody's registration ends by that, or lasts longer, and phones behind NAT are asked as before.
func TestClockIsSet(t *testing.T) {
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			p := &prober{asked: make(map[string]int)}
			f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Prober, c.ProbeEvery = p, 20*time.Second })
			phone := f.phone("1001", "one", 1)
			phone.flow = telephony.Flow{ID: 1, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("127.0.0.1:30001")}
			phone.must(200, expires(900))
			f.clock.advance(21 * time.Second)
			eventually(t, "the phone is asked", func() bool { return p.count(phone.contact) > 0 })
			f.clock.set(jump)
			later := f.phone("1002", "two", 2)
			later.must(200, expires(60))
			for range 3 {
				before := p.count(phone.contact)
				f.clock.advance(21 * time.Second)
				eventually(t, "the phone is asked again", func() bool { return p.count(phone.contact) > before })
			}
			if got := f.Bindings(phone.aor); len(got) != 1 || got[0].Expires.Sub(f.clock.now()).Abs() > 900*time.Second {
				t.Errorf("it is to end at %+v by a clock that says %s", got, f.clock.now())
			}
			eventually(t, "what came later has ended", func() bool {
				return f.memory.told() == "registered 1001, registered 1002, expired 1002" && f.Counters().Bindings == 1
			})
			f.clock.advance(13 * time.Minute) // 14:24 since it registered
			if got := f.Lookup(t.Context(), phone.aor); len(got) != 1 {
				t.Fatalf("found: %+v", got)
			}
			f.clock.advance(time.Minute)
			eventually(t, "what came first has ended", func() bool { return f.Counters().Bindings == 0 })
		})
	}
}

// Also what is refreshed without a queue goes by the time that has passed.
func TestClockIsSetWithBindingsInMemory(t *testing.T) {
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Volatile = true })
			one, two := f.phone("1001", "one", 1), f.phone("1002", "two", 2)
			one.must(200, expires(900))
			two.must(200, expires(900))
			f.clock.advance(10 * time.Minute)
			f.clock.set(jump)
			one.must(200, expires(900)) // perhaps before anybody has looked at the clock
			f.clock.advance(6 * time.Minute)
			eventually(t, "who did not refresh has ended", func() bool { return f.Counters().Bindings == 1 })
			f.clock.advance(5 * time.Minute)
			if got := f.Lookup(t.Context(), one.aor); len(got) != 1 {
				t.Fatalf("found: %+v", got)
			}
			f.clock.advance(5 * time.Minute)
			eventually(t, "who refreshed has ended too", func() bool { return f.Counters().Bindings == 0 })
		})
	}
}

// A node whose clock is wrong ends none of the phones of a node that is there, however long they seem to be over; when that node is
// gone, it does.
func TestClockOfAnotherNodeIsAnother(t *testing.T) {
	there := stored("1001", "n2", "sip:1001@there", telephony.UDP)
	f, o := startAmong(t, there)
	f.clock.set(24 * time.Hour)
	sign := int64(100)
	for range 30 {
		sign++
		o.set(func() { o.signs["n2"] = sign })
		o.looked(t)
		f.clock.advance(5 * time.Second)
		if got := reachable(f, "1001"); got != "udp" {
			t.Fatalf("while its node is there: %q", got)
		}
	}
	o.set(func() { o.signs["n2"] = 0 })
	o.looked(t)
	for range 100 {
		f.clock.advance(5 * time.Second)
	}
	eventually(t, "its node is gone, and so is it", func() bool { return reachable(f, "1001") == "" && f.Counters().Bindings == 0 })
}
