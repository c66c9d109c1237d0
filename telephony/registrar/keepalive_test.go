package registrar_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// prober answers for the phones that live.
type prober struct {
	mu    sync.Mutex
	dead  map[string]bool
	asked map[string]int
}

func (p *prober) Probe(_ context.Context, b registration.Binding) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[b.Contact]++
	if p.dead[b.Contact] {
		return errors.New("no answer")
	}
	return nil
}

func (p *prober) count(contact string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[contact]
}

func TestPhonesBehindNATAreProbed(t *testing.T) {
	const (
		dead    = "sip:1001@10.0.0.1:5060"
		alive   = "sip:1001@phone.invalid;ob"
		direct  = "sip:1001@127.0.0.1:30001"
		marked  = "sip:1001?x@127.0.0.1:30001" // the user may hold a '?'
		sleeper = "sip:1001@10.0.0.3;pn-provider=fcm;pn-prid=t"
		stream  = "sip:1001@10.0.0.4"
	)
	p := &prober{asked: make(map[string]int), dead: map[string]bool{dead: true, sleeper: true, stream: true}}
	f := newFixture(t, newMemory(), func(c *registrar.Config) {
		c.Prober, c.ProbeEvery, c.Rules.Contacts = p, 20*time.Second, 10
	})
	phone := f.phone("1001", "one", 1)
	for i, uri := range []string{dead, alive, direct, marked, sleeper, stream} {
		phone.flow = telephony.Flow{ID: uint64(i + 1), Listener: "udp", Transport: telephony.UDP,
			Remote: netip.MustParseAddrPort("127.0.0.1:30001")}
		if uri == stream {
			phone.flow.Transport = telephony.TCP
		}
		phone.must(200, func(r *registration.Request) { r.Contacts[0].URI = uri })
	}
	for round := 1; round <= 3; round++ {
		f.clock.advance(21 * time.Second)
		eventually(t, "everybody behind NAT is asked", func() bool {
			return p.count(alive) >= round && p.count(dead) >= round && p.count(sleeper) >= round
		})
	}
	eventually(t, "the dead ones are told of", func() bool {
		return f.memory.told() == "registered 1001, registered 1001, registered 1001, registered 1001, registered 1001, registered 1001, "+
			"unreachable 1001, asleep 1001" ||
			f.memory.told() == "registered 1001, registered 1001, registered 1001, registered 1001, registered 1001, registered 1001, "+
				"asleep 1001, unreachable 1001"
	})
	if p.count(direct)+p.count(marked) != 0 || p.count(stream) != 0 {
		t.Error("phones that need no keep-alive were asked")
	}
	phone.flow = telephony.Flow{ID: 1, Listener: "udp", Transport: telephony.UDP, Remote: phone.flow.Remote}
	phone.must(200, func(r *registration.Request) { r.Contacts[0].URI = dead })
	eventually(t, "it is back", func() bool {
		for _, target := range f.Lookup(t.Context(), alice) {
			for _, b := range target.Flows {
				if b.Contact == dead {
					return true
				}
			}
		}
		return false
	})
}

// A phone that keeps a UDP flow alive by RFC 5626 is asked too: nothing closes when it stops to.
func TestOutboundOverUDPIsProbed(t *testing.T) {
	const contact = "sip:1001@127.0.0.1:30001" // where it is seen: no NAT between
	p := &prober{asked: make(map[string]int), dead: map[string]bool{contact: true}}
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Prober, c.ProbeEvery = p, 20*time.Second })
	phone := f.phone("1001", "one", 1)
	phone.flow = telephony.Flow{ID: 1, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("127.0.0.1:30001")}
	phone.must(200, func(r *registration.Request) {
		r.Outbound, r.Contacts[0] = true, registration.Contact{URI: contact, Instance: "urn:uuid:1", RegID: 1, Q: 1000, Expires: -1}
	})
	for round := 1; round <= 3; round++ {
		f.clock.advance(21 * time.Second)
		eventually(t, "it is asked", func() bool { return p.count(contact) >= round })
	}
	eventually(t, "its end is told of", func() bool {
		return f.memory.told() == "registered 1001, unreachable 1001"
	})
}
