package registrar_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

const fault = "it does not trust us."

// at puts a phone somewhere.
func (p *phone) at(id uint64, address string) *phone {
	p.flow = telephony.Flow{ID: id, Listener: "tls", Transport: telephony.TLS, Remote: netip.MustParseAddrPort(address)}
	return p
}

// gone registers a phone and closes its connection.
func gone(f *fixture, user, password string, id uint64, address string) *phone {
	f.t.Helper()
	p := f.phone(user, password, id).at(id, address)
	p.must(200, nil)
	f.FlowClosed(p.flow)
	eventually(f.t, "its end is told of", func() bool { return strings.Contains(f.memory.told(), "flow_closed "+user) })
	return p
}

// A failed handshake says nothing about who it was: it is put down to one user's departed phone, or to nobody.
func TestHandshakeFaultsAreAttributedWithCare(t *testing.T) {
	const home = "192.0.2.7:40000"
	for name, c := range map[string]struct {
		before func(f *fixture)
		from   string
		told   int
	}{
		"the phone that was there": {func(f *fixture) { gone(f, "1001", "one", 1, home) }, "192.0.2.7:50000", 1},
		"its registration ran out": {func(f *fixture) {
			f.phone("1001", "one", 1).at(1, home).must(200, nil)
			f.clock.advance(2 * time.Hour)
			eventually(f.t, "its end is told of", func() bool { return strings.Contains(f.memory.told(), "expired") })
		}, "192.0.2.7:50000", 1},
		"nobody was there": {func(f *fixture) { gone(f, "1001", "one", 1, home) }, "192.0.2.8:50000", 0},
		"two users were there": {func(f *fixture) {
			gone(f, "1002", "two", 2, home)
			gone(f, "1001", "one", 1, home)
		}, "192.0.2.7:50000", 0},
		"another user is there": {func(f *fixture) {
			gone(f, "1001", "one", 1, home)
			f.phone("1002", "two", 2).at(2, "192.0.2.7:40001").must(200, nil)
		}, "192.0.2.7:50000", 0},
		"it is back": {func(f *fixture) {
			gone(f, "1001", "one", 1, home).at(2, "192.0.2.7:40001").must(200, nil)
		}, "192.0.2.7:50000", 0},
		"it was there the day before yesterday": {func(f *fixture) {
			gone(f, "1001", "one", 1, home)
			f.clock.advance(48 * time.Hour)
		}, "192.0.2.7:50000", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, newMemory(), nil)
			c.before(f)
			for range 3 { // told once in a while
				f.HandshakeFailed(telephony.Flow{Transport: telephony.TLS, Remote: netip.MustParseAddrPort(c.from)}, fault)
			}
			// What was told before is saved with this user's next registration or before it.
			f.phone("1001", "one", 9).at(9, "198.51.100.1:1").must(200, nil)
			got := tlsFaults(f.memory)
			if len(got) != c.told {
				t.Fatalf("told %d times: %+v", len(got), got)
			}
			if c.told > 0 {
				text := got[0].Text
				if got[0].AoR.User != "1001" || !strings.HasPrefix(text, "TLS handshake from 192.0.2.7, where this user's phone (phone) was "+
					"registered until 20") || !strings.HasSuffix(text, " UTC, failed. Most likely it was that phone: "+fault) {
					t.Errorf("%+v", got[0])
				}
			}
		})
	}
}

func tlsFaults(m *memory) (all []telephony.RegistrationChange) {
	m.set(func(m *memory) {
		for _, c := range m.feed {
			if c.Kind == telephony.HandshakeFailed {
				all = append(all, c)
			}
		}
	})
	return all
}

// A phone whose answers are right but always too old is never let in: that must not stay in the counters alone.
func TestEndlessStaleNoncesAreTold(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	elsewhere := newFixture(t, newMemory(), func(c *registrar.Config) { c.Node = "n2" })
	for i := range 5 {
		req := p.request()
		p.sign(req, elsewhere.ask(p.request())) // a nonce of another node, each time
		reply := f.ask(req)
		if reply.Status != 401 || !strings.Contains(reply.Challenges[0], "stale=true") {
			t.Fatalf("%d: %+v", i, reply)
		}
	}
	eventually(t, "support is told", func() bool { return f.memory.told() == "refused 1001 401" })
	f.memory.set(func(m *memory) {
		if !strings.Contains(m.feed[0].Text, "load balancer") {
			t.Error(m.feed[0].Text)
		}
	})
}

// What concerns one user stands in the timeline of that one: an answer for another realm, too.
func TestWrongRealmIsTold(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	req := p.request()
	p.sign(req, f.ask(p.request()))
	req.Authorize = []string{authorization("1001", "another.test", "one", p.nonce, 1)}
	if reply := f.ask(req); reply.Status != 401 {
		t.Fatalf("%+v", reply)
	}
	eventually(t, "support is told", func() bool { return f.memory.told() == "refused 1001 401" })
	f.memory.set(func(m *memory) {
		if !strings.Contains(m.feed[0].Text, "another realm") {
			t.Error(m.feed[0].Text)
		}
	})
}

// gated saves when the test lets it.
type gated struct {
	*memory
	began, open chan struct{}
}

func (g gated) Save(ctx context.Context, b registrar.Batch) error {
	g.began <- struct{}{}
	<-g.open
	return g.memory.Save(ctx, b)
}

// A REGISTER that comes again while it is being saved waits for that, and gets the same 200; it is saved once.
func TestRetransmissionWaitsForTheCommit(t *testing.T) {
	m := newMemory()
	g := gated{m, make(chan struct{}, 10), make(chan struct{})}
	f := newFixture(t, m, func(c *registrar.Config) { c.Bindings = g })
	p := f.phone("1001", "one", 1)
	req := p.request()
	p.sign(req, f.ask(p.request()))
	replies := make(chan registration.Reply, 4)
	copies := [3]registration.Request{*req, *req, *req}
	f.Register(t.Context(), &copies[0], func(r registration.Reply) { replies <- r })
	<-g.began
	for i := range 2 {
		f.Register(t.Context(), &copies[i+1], func(r registration.Reply) { replies <- r })
	}
	select {
	case r := <-replies:
		t.Fatalf("answered before the commit: %+v", r)
	case <-time.After(50 * time.Millisecond):
	}
	close(g.open)
	for i := range 3 {
		if r := <-replies; r.Status != 200 || len(r.Bindings) != 1 {
			t.Errorf("answer %d: %+v", i, r)
		}
	}
	if told := m.told(); told != "registered 1001" {
		t.Errorf("told %s", told)
	}
	m.set(func(m *memory) {
		if len(m.batches) != 1 {
			t.Errorf("saved %d times", len(m.batches))
		}
	})
}
