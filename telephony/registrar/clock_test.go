package registrar_test

import (
	"net/netip"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
)

// The clock may be set back, by hours and to before the process began, and ahead by decades: phones behind NAT are asked as
// before, and what registers then ends in its time.
func TestClockIsSet(t *testing.T) {
	for name, back := range map[string]time.Duration{"an hour": time.Hour, "three days": 72 * time.Hour, "thirty years": 30 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			p := &prober{asked: make(map[string]int)}
			f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Prober, c.ProbeEvery = p, 20*time.Second })
			phone := f.phone("1001", "one", 1)
			phone.flow = registrar.Flow{ID: 1, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("127.0.0.1:30001")}
			phone.must(200, nil)
			f.clock.advance(21 * time.Second)
			eventually(t, "the phone is asked", func() bool { return p.count(phone.contact) > 0 })
			f.clock.advance(-back)
			later := f.phone("1002", "two", 2)
			later.must(200, expires(60))
			for range 3 {
				before := p.count(phone.contact)
				f.clock.advance(21 * time.Second)
				eventually(t, "the phone is asked again", func() bool { return p.count(phone.contact) > before })
			}
			eventually(t, "what came later has ended", func() bool {
				return f.memory.told() == "registered 1001, registered 1002, expired 1002" && f.Counters().Bindings == 1
			})
			f.clock.advance(back)
			f.clock.advance(2 * time.Hour)
			eventually(t, "what came first has ended", func() bool { return f.Counters().Bindings == 0 })
		})
	}
}
