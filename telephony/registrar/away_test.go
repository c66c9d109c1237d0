package registrar_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

func TestStoreAway(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	p.must(200, expires(600))
	f.clock.advance(100 * time.Second)
	f.memory.set(func(m *memory) { m.away = true })
	reply := p.must(200, expires(600))
	if reply.Bindings[0].Expires != 500 {
		t.Errorf("expires %d, want what is committed: 500", reply.Bindings[0].Expires)
	}
	other := f.phone("1001", "one", 2)
	if reply := other.must(503, nil); reply.RetryAfter == 0 {
		t.Error("503 without Retry-After")
	}
	p.must(503, expires(0))
	if reply := f.ask(f.phone("1002", "two", 4).request()); reply.Status != 401 {
		t.Errorf("a challenge needs no store: %d", reply.Status)
	}
	f.phone("1002", "two", 4).must(503, nil) // not in memory: 503, never a second 401
	f.FlowClosed(p.flow)
	eventually(t, "unreachable in memory", func() bool { return len(f.Lookup(t.Context(), alice)) == 0 })
	f.memory.set(func(m *memory) { m.away = false })
	eventually(t, "the store catches up", func() bool { return f.memory.told() == "registered 1001, flow_closed 1001" })
	eventually(t, "new ones are taken", func() bool { return other.register(nil).Status == 200 })
	p.flow = flow(7)
	p.must(200, expires(600))
	if f.Counters().StoreAway || len(f.memory.bindings) != 2 {
		t.Errorf("%+v, %d bindings", f.Counters(), len(f.memory.bindings))
	}
}

// Who watches a registration, or waits for a phone that was woken, hears of it although the store does not.
func TestChangesAreAnnouncedWhileTheStoreIsAway(t *testing.T) {
	var announced atomic.Int64
	f := newFixture(t, newMemory(), func(c *registrar.Config) {
		c.Changed = func(aors []telephony.AoR) { announced.Add(int64(len(aors))) }
	})
	p := f.phone("1001", "one", 1)
	p.must(200, expires(600))
	eventually(t, "its coming is announced", func() bool { return announced.Load() == 1 })
	f.memory.set(func(m *memory) { m.away = true })
	f.FlowClosed(p.flow)
	eventually(t, "its connection's end is announced", func() bool { return announced.Load() == 2 })
	p.flow = flow(2)
	p.must(200, expires(600))
	eventually(t, "its return is announced", func() bool { return announced.Load() == 3 })
}

// After a long absence there is more to save than a store takes within the time of one save: it is saved in pieces, or never.
func TestDebtsArePaidInPieces(t *testing.T) {
	const phones = 1100
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Shards, c.Queue = 1, 2*phones })
	f.memory.set(func(m *memory) {
		for i := range phones {
			m.passwords[fmt.Sprint(5000+i)] = "pw"
		}
	})
	for i := range phones {
		f.phone(fmt.Sprint(5000+i), "pw", uint64(i+1)).must(200, nil)
	}
	f.memory.set(func(m *memory) { m.away = true })
	for i := range phones {
		f.FlowClosed(flow(uint64(i + 1)))
	}
	eventually(t, "all are gone in memory", func() bool {
		gone := 0
		f.Each(func(b registration.Binding) {
			if !b.Reachable {
				gone++
			}
		})
		return gone == phones
	})
	f.memory.set(func(m *memory) { m.away, m.most = false, 1200 })
	await(t, f.memory, "all of it is saved", func() bool {
		unreachable := 0
		for _, b := range f.memory.bindings {
			if !b.Reachable {
				unreachable++
			}
		}
		return unreachable == phones && len(f.memory.feed) == 2*phones
	})
	eventually(t, "the store counts as back", func() bool { return !f.Counters().StoreAway })
	closed := make(map[telephony.AoR]bool)
	f.memory.set(func(m *memory) {
		for _, c := range m.feed[phones:] {
			closed[c.AoR] = c.Kind == telephony.BindingFlowClosed
		}
	})
	if len(closed) != phones {
		t.Errorf("%d of %d phones' ends are told", len(closed), phones)
	}
	f.phone("1001", "one", phones+1).must(200, nil)
}

// Phones that ask all the time must not keep a store away that is back.
func TestStoreComesBackUnderLoad(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	f.memory.set(func(m *memory) { m.away = true })
	stranger := f.phone("1002", "two", 4)
	stranger.must(503, nil)
	f.memory.set(func(m *memory) { m.away = false })
	eventually(t, "the phone is taken", func() bool { return stranger.register(nil).Status == 200 })
}

// Why a phone was refused stands in the timeline also when the store did not take at once what told of it.
func TestRefusalOutlivesAFailedSave(t *testing.T) {
	t.Run("away", func(t *testing.T) {
		f := newFixture(t, newMemory(), nil)
		p := f.phone("1001", "one", 1)
		p.must(200, nil)
		f.memory.set(func(m *memory) { m.away = true })
		p.must(423, expires(5))
		p.must(423, expires(5)) // once is enough
		f.memory.set(func(m *memory) { m.away = false })
		eventually(t, "the refusal is told", func() bool { return f.memory.told() == "registered 1001, refused 1001 423" })
	})
	t.Run("beside what cannot be stored", func(t *testing.T) {
		g := &gate{memory: newMemory(), entered: make(chan struct{}, 1), open: make(chan struct{})}
		f := newFixture(t, g.memory, func(c *registrar.Config) { c.Bindings, c.Shards = g, 1 })
		first, brief, bad := f.phone("1001", "one", 1), f.phone("1001", "one", 2), f.phone("1002", "two", 3)
		g.set(func(m *memory) { m.poison = bad.contact })
		short := brief.request()
		short.Expires = 5
		requests := []*registration.Request{first.request(), short, bad.request()}
		for i, p := range []*phone{first, brief, bad} {
			p.sign(requests[i], f.ask(p.request()))
		}
		var wait sync.WaitGroup
		for i, req := range requests {
			wait.Add(1)
			f.Register(t.Context(), req, func(registration.Reply) { wait.Done() })
			if i == 0 {
				<-g.entered // the others come in one turn
			}
		}
		close(g.open)
		wait.Wait()
		eventually(t, "the refusal is told", func() bool { return g.told() == "registered 1001, refused 1001 423" })
	})
}
