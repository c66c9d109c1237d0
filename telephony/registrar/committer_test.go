package registrar_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// gate is a store that lets saves through when it is opened, and sees how many are under way.
type gate struct {
	*memory
	entered  chan struct{}
	open     chan struct{}
	now, max atomic.Int32
}

func (g *gate) Save(ctx context.Context, b registrar.Batch) error {
	if n := g.now.Add(1); n > g.max.Load() {
		g.max.Store(n)
	}
	defer g.now.Add(-1)
	select {
	case g.entered <- struct{}{}:
	default:
	}
	<-g.open
	return g.memory.Save(ctx, b)
}

// TestShardsSaveTogether holds the first save up, so that the batches of all shards wait behind it; one of them cannot be
// stored.
func TestShardsSaveTogether(t *testing.T) {
	g := &gate{memory: newMemory(), entered: make(chan struct{}, 1), open: make(chan struct{})}
	f := newFixture(t, g.memory, func(c *registrar.Config) { c.Bindings, c.Shards = g, 4 })
	const phones, bad = 24, 7
	requests := make([]*registration.Request, phones)
	for i := range requests {
		user := strconv.Itoa(2000 + i)
		g.set(func(m *memory) { m.passwords[user] = "pw" })
		p := f.phone(user, "pw", uint64(10+i))
		if i == bad {
			g.set(func(m *memory) { m.poison = p.contact })
		}
		requests[i] = p.request()
		p.sign(requests[i], f.ask(p.request()))
		requests[i].CSeq = 100
	}
	var wait sync.WaitGroup
	statuses := make([]int, phones)
	for i, req := range requests {
		wait.Add(1)
		f.Register(t.Context(), req, func(r registration.Reply) { statuses[i] = r.Status; wait.Done() })
		if i == 0 {
			<-g.entered
		}
	}
	close(g.open)
	wait.Wait()
	for i, status := range statuses {
		if want := map[bool]int{true: 500, false: 200}[i == bad]; status != want {
			t.Errorf("phone %d: %d, want %d", i, status, want)
		}
	}
	if g.max.Load() != 1 {
		t.Errorf("%d saves at once", g.max.Load())
	}
}

// envelope notes in which order replies came, and what was told of them.
type envelope struct {
	mu    sync.Mutex
	order []string
}

func (e *envelope) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.order = append(e.order, what)
}

func (e *envelope) Hold()    { e.note("hold") }
func (e *envelope) Release() { e.note("release") }

// What is saved together is answered together, and one alone without further words.
func TestRepliesGather(t *testing.T) {
	g := &gate{memory: newMemory(), entered: make(chan struct{}, 1), open: make(chan struct{})}
	e := &envelope{}
	f := newFixture(t, g.memory, func(c *registrar.Config) { c.Bindings, c.Shards, c.Gathers = g, 1, e })
	var requests []*registration.Request
	for i := range 4 {
		user := strconv.Itoa(2000 + i)
		g.set(func(m *memory) { m.passwords[user] = "pw" })
		p := f.phone(user, "pw", uint64(10+i))
		req := p.request()
		p.sign(req, f.ask(p.request()))
		requests = append(requests, req)
	}
	var wait sync.WaitGroup
	for i, req := range requests {
		wait.Add(1)
		f.Register(t.Context(), req, func(r registration.Reply) { e.note(strconv.Itoa(r.Status)); wait.Done() })
		if i == 0 {
			<-g.entered
		}
	}
	close(g.open)
	wait.Wait()
	eventually(t, "all is told", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Equal(e.order, []string{"200", "hold", "200", "200", "200", "release"})
	})
}

// unhurried takes a millisecond for a save, and notes when each began.
type unhurried struct {
	*memory
	began []time.Time
}

func (s *unhurried) Save(ctx context.Context, b registrar.Batch) error {
	s.memory.set(func(*memory) { s.began = append(s.began, time.Now()) })
	time.Sleep(time.Millisecond)
	return s.memory.Save(ctx, b)
}

// Phones that register as soon as they are answered share saves, one for all; one phone alone is not held up.
func TestManyShareASave(t *testing.T) {
	for name, phones := range map[string]int{"many": 64, "one": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &unhurried{memory: newMemory()}
				all := store.phones(t, phones)
				const rounds = 20
				var wait sync.WaitGroup
				began := time.Now()
				for _, p := range all {
					wait.Go(func() {
						for range rounds {
							p.must(200, nil)
						}
					})
				}
				wait.Wait()
				took, saves := time.Since(began), store.began
				if phones == 1 && took > rounds*time.Millisecond {
					t.Errorf("one phone took %s", took)
				}
				if len(saves) < rounds || len(saves) > rounds+rounds/8 {
					t.Errorf("%d saves for %d phones, at %v", len(saves), phones, saves)
				}
			})
		})
	}
}

// Where requests keep coming, each from another phone, saves leave time between.
func TestSavesLeaveTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &unhurried{memory: newMemory()}
		all := store.phones(t, 128)
		const rounds, apart = 8, 100 * time.Microsecond
		var wait sync.WaitGroup
		for i, p := range all {
			wait.Go(func() {
				time.Sleep(time.Duration(i) * apart)
				for range rounds {
					p.must(200, nil)
					time.Sleep(time.Duration(len(all)) * apart)
				}
			})
		}
		wait.Wait()
		began, last := store.began[0], store.began[len(store.began)-1]
		if most := int(last.Sub(began) / (3 * time.Millisecond)); len(store.began) > most {
			t.Errorf("%d saves within %s", len(store.began), last.Sub(began))
		}
	})
}

// phones returns registered phones of a registrar with four shards on the store. Its clock does not tick while they register: Go 1.26 may crash
// with -race when tickers of one bubble are due for several goroutines at once.
func (s *unhurried) phones(t *testing.T, n int) (all []*phone) {
	f := newFixture(t, s.memory, func(c *registrar.Config) { c.Bindings, c.Shards, c.Tick = s, 4, time.Hour })
	for i := range n {
		user := strconv.Itoa(2000 + i)
		s.memory.set(func(m *memory) { m.passwords[user] = "pw" })
		p := f.phone(user, "pw", uint64(10+i))
		p.must(200, nil)
		all = append(all, p)
	}
	s.memory.set(func(*memory) { s.began = nil })
	return all
}

// Only what nothing but time has changed is prolonged: after a restart too, and not what the store has missed.
func TestRefreshesAreProlonged(t *testing.T) {
	m := newMemory()
	f := newFixture(t, m, nil)
	p := f.phone("1002", "two", 1)
	p.flow.Transport = telephony.UDP
	last := func() (b registrar.Batch) {
		m.set(func(m *memory) { b = m.batches[len(m.batches)-1] })
		return b
	}
	p.must(200, nil)
	if b := last(); len(b.Put) != 1 || len(b.Prolong) != 0 || b.Put[0].Row == 0 {
		t.Errorf("a new binding: %+v", b)
	}
	row := last().Put[0].Row
	f.clock.advance(time.Minute)
	p.must(200, nil)
	if b := last(); len(b.Put) != 0 || len(b.Prolong) != 1 || b.Prolong[0].Row != row || len(b.Changes) != 0 {
		t.Errorf("a refresh: %+v", b)
	}
	p.must(200, func(r *registration.Request) { r.UserAgent = "phone 2.0" })
	if b := last(); len(b.Put) != 1 || len(b.Prolong) != 0 || b.Put[0].Row != row {
		t.Errorf("a refresh that says something new: %+v", b)
	}
	m.set(func(m *memory) { m.away = true })
	p.must(200, func(r *registration.Request) { r.UserAgent = "phone 2.0" })
	m.set(func(m *memory) { m.away, m.batches = false, nil })
	eventually(t, "the store has what it missed", func() (saved bool) {
		m.set(func(m *memory) { saved = len(m.batches) > 0 })
		return saved
	})
	if b := last(); len(b.Put) != 1 || len(b.Prolong) != 0 {
		t.Errorf("what the store has missed: %+v", b)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.f = newFixture(t, m, nil)
	p.nonce = ""
	p.must(200, func(r *registration.Request) { r.UserAgent = "phone 2.0" })
	if b := last(); len(b.Put) != 0 || len(b.Prolong) != 1 || b.Prolong[0].Row != row {
		t.Errorf("a refresh after a restart: %+v", b)
	}
}
