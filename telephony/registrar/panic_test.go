package registrar_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// faulty is a store that panics on demand.
type faulty struct {
	*memory
	save, version atomic.Bool
	contact       string // whose save panics while save is set
}

func (f *faulty) Save(ctx context.Context, b registrar.Batch) error {
	written := slices.Clone(b.Put)
	for _, p := range b.Prolong {
		written = append(written, *p)
	}
	for _, p := range written {
		if f.save.Load() && (f.contact == "" || p.Contact == f.contact) {
			panic("secret-canary")
		}
	}
	return f.memory.Save(ctx, b)
}

func (f *faulty) Version(ctx context.Context) (int64, error) {
	if f.version.Swap(false) {
		panic("secret-canary")
	}
	return f.memory.Version(ctx)
}

func faults(t *testing.T, change func(*registrar.Config, *faulty)) (*fixture, *faulty, *strings.Builder) {
	t.Helper()
	s, logs := &faulty{memory: newMemory()}, &strings.Builder{}
	f := newFixture(t, s.memory, func(c *registrar.Config) {
		c.Bindings, c.Directory, c.Shards = s, s, 1
		c.Log = slog.New(slog.NewTextHandler(logs, nil))
		change(c, s)
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = f.Stop(ctx) // before the log is read
		if strings.Contains(logs.String(), "secret-canary") || !strings.Contains(logs.String(), "panic") {
			t.Error(logs)
		}
	})
	return f, s, logs
}

// A store that breaks over one phone's binding fails that phone alone, also when it is saved together with others.
func TestPanicOfTheStoreCostsOneRequest(t *testing.T) {
	f, s, _ := faults(t, func(*registrar.Config, *faulty) {})
	good, bad := f.phone("1001", "one", 1), f.phone("1002", "two", 2)
	s.contact = bad.contact
	good.must(200, nil)
	bad.must(200, nil)
	s.save.Store(true)
	bad.must(500, nil)
	good.must(200, nil)
	s.save.Store(false)
	bad.must(200, nil)
	if c := f.Counters(); c.Panics == 0 || c.Registers["failed"] != 1 || c.StoreAway {
		t.Errorf("%+v", c)
	}
}

// The connection of a phone closes while the store breaks: memory knows that the phone is gone, and work goes on.
func TestPanicWhileAFlowIsClosed(t *testing.T) {
	f, s, _ := faults(t, func(*registrar.Config, *faulty) {})
	p, other := f.phone("1001", "one", 1), f.phone("1002", "two", 2)
	p.flow.Transport = telephony.TLS
	p.must(200, nil)
	s.save.Store(true)
	f.FlowClosed(p.flow)
	eventually(t, "the phone is gone", func() bool { return len(f.Lookup(t.Context(), p.aor)) == 0 })
	s.save.Store(false)
	other.must(200, nil)
	p.flow = flow(3) // a phone that comes back has a new connection, whose number was never used before
	p.must(200, nil)
}

// panicking is a feed and a prober that panic.
type panicking struct{ heads, probes atomic.Int32 }

func (p *panicking) Heads(context.Context) (map[string]int64, error) {
	if p.heads.Add(1) == 2 { // the first is the start's
		panic("secret-canary")
	}
	return nil, nil
}

func (p *panicking) Since(context.Context, string, int64, int) ([]telephony.RegistrationChange, error) {
	return nil, nil
}
func (p *panicking) All(context.Context) ([]registration.Binding, error) { return nil, nil }
func (p *panicking) Of(context.Context, []telephony.AoR) ([]registration.Binding, error) {
	panic("secret-canary")
}
func (p *panicking) Wake() {}
func (p *panicking) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
}
func (p *panicking) Probe(context.Context, registration.Binding) error {
	p.probes.Add(1)
	panic("secret-canary")
}

// What the registrar is given to call may break: it goes on with what it has.
func TestPanicsOfWhatIsCalled(t *testing.T) {
	p := &panicking{}
	f, s, _ := faults(t, func(c *registrar.Config, _ *faulty) {
		c.Feed, c.Prober, c.ProbeEvery = p, p, 10*time.Second
		c.Changed = func([]telephony.AoR) { panic("secret-canary") }
	})
	s.version.Store(true)
	phone := f.phone("1001", "one", 1) // behind a NAT: its contact is not where it is seen
	phone.flow.Transport = telephony.UDP
	phone.must(200, nil)
	f.clock.advance(11 * time.Second)
	eventually(t, "a probe", func() bool { return p.probes.Load() > 0 })
	eventually(t, "the feed is read again", func() bool { return p.heads.Load() > 2 })
	eventually(t, "the directory is asked again", func() bool { return !s.version.Load() })
	phone.must(200, nil)
	if targets := f.Lookup(t.Context(), phone.aor); len(targets) != 1 || len(targets[0].Flows) != 1 {
		t.Errorf("%+v", targets)
	}
	if c := f.Counters(); c.Panics < 3 {
		t.Errorf("%d panics counted", c.Panics)
	}
}
