package registrar_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// others are the other nodes on a store, as it knows them.
type others struct {
	*memory
	mu    sync.Mutex
	signs map[string]int64
	away  bool
	looks int

	changes []telephony.RegistrationChange // what n2 has told
}

func (o *others) Signs(context.Context) (map[string]int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	if o.away {
		return nil, registrar.ErrStoreAway
	}
	signs := map[string]int64{"n1": 1}
	for node, at := range o.signs {
		signs[node] = at
	}
	return signs, nil
}

// looked waits until the node has looked at the signs once more, and acted on them.
func (o *others) looked(t *testing.T) {
	t.Helper()
	looks := func() int {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.looks
	}
	before := looks()
	eventually(t, "the node looks after the others", func() bool { return looks() >= before+2 })
}

func (o *others) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func (o *others) Strand(_ context.Context, dead, by string, limit int, told func(registration.Binding) telephony.RegistrationChange) (
	aors []telephony.AoR, _ error) {
	o.memory.mu.Lock()
	defer o.memory.mu.Unlock()
	for k, b := range o.memory.bindings {
		if b.Node == dead && b.Reachable && b.Flow.Transport.Stream() && b.Path == "" && len(aors) < limit {
			b.Reachable = false
			o.memory.bindings[k] = b
			c := told(b)
			c.Node = by
			o.memory.feed = append(o.memory.feed, c)
			aors = append(aors, b.AoR)
		}
	}
	return aors, nil
}

func (o *others) Heads(context.Context) (map[string]int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return map[string]int64{"n2": int64(len(o.changes))}, nil
}

func (o *others) Since(_ context.Context, _ string, n int64, _ int) ([]telephony.RegistrationChange, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes[n:]), nil
}

func (o *others) Wake() {}

func (o *others) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Millisecond):
	}
}

func (o *others) All(context.Context) ([]registration.Binding, error) {
	return o.memory.Load(context.Background(), "")
}

func (o *others) Of(_ context.Context, aors []telephony.AoR) (found []registration.Binding, _ error) {
	all, err := o.All(context.Background())
	for _, b := range all {
		if slices.Contains(aors, b.AoR) {
			found = append(found, b)
		}
	}
	return found, err
}

// Load returns those of the node alone, as a store does.
func (o *others) Load(_ context.Context, node string) (found []registration.Binding, _ error) {
	all, err := o.All(context.Background())
	for _, b := range all {
		if b.Node == node {
			found = append(found, b)
		}
	}
	return found, err
}

// stored is a binding of another node.
func stored(user, node, contact string, transport telephony.Transport) registration.Binding {
	return registration.Binding{
		Account: "acc_1", Node: node, AoR: telephony.NewAoR(user, alice.Domain), Key: "uri:" + contact, Contact: contact, Q: 1000,
		CallID: "c", CSeq: 1, Flow: telephony.Flow{ID: 7, Listener: "l", Transport: transport}, Reachable: true,
		RegisteredAt: start, RefreshedAt: start, Expires: start.Add(24 * time.Hour),
	}
}

func startAmong(t *testing.T, bindings ...registration.Binding) (*fixture, *others) {
	t.Helper()
	m := newMemory()
	for _, b := range bindings {
		m.bindings[b.ID()] = b
	}
	o := &others{memory: m, signs: map[string]int64{"n2": 100}}
	f := newFixture(t, m, func(c *registrar.Config) { c.Bindings, c.Feed, c.Leases = o, o, o })
	o.looked(t)
	return f, o
}

func reachable(f *fixture, user string) string {
	var texts []string
	for _, b := range f.Bindings(telephony.NewAoR(user, alice.Domain)) {
		text := string(b.Flow.Transport)
		if b.Asleep() {
			text += " asleep"
		} else if !b.Reachable {
			text += " gone"
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// A node that is silent for longer than its lease takes the connections of its phones along: they are told as closed, or as
// asleep where a push wakes the phone. What is reached by an address or by a proxy stays.
func TestSilentNodesConnectionsCountAsClosed(t *testing.T) {
	proxied := stored("1002", "n2", "sip:1002@proxied", telephony.TCP)
	proxied.Path = "<sip:proxy;lr>"
	f, o := startAmong(t, stored("1001", "n2", "sip:1001@a", telephony.TLS), stored("1001", "n2", "sip:1001@b", telephony.UDP),
		stored("1001", "n2", "sip:1001@c;pn-provider=fcm;pn-prid=x;pn-param=y", telephony.WSS), proxied,
		stored("1002", "n3", "sip:1002@other", telephony.TLS))
	o.set(func() { o.signs["n3"] = 1 })
	o.looked(t)
	f.clock.advance(15 * time.Second)
	o.set(func() { o.signs["n3"] = 2 })
	o.looked(t)
	if got := reachable(f, "1001"); got != "tls, udp, wss" {
		t.Fatalf("before its time is over: %s", got)
	}
	f.clock.advance(10 * time.Second)
	eventually(t, "the connections of n2 count as closed", func() bool { return reachable(f, "1001") == "tls gone, udp, wss asleep" })
	o.looked(t)
	if got := reachable(f, "1002"); got != "tcp, tls" {
		t.Errorf("of a node that is there, and behind a proxy: %s", got)
	}
	told := strings.Split(f.memory.told(), ", ")
	slices.Sort(told)
	if want := []string{"asleep 1001", "flow_closed 1001"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	f.memory.set(func(m *memory) {
		for _, c := range m.feed {
			if c.Node != "n1" || !strings.Contains(c.Text, "node n2") {
				t.Errorf("%+v does not say why", c)
			}
		}
	})
	if n := f.Counters().Stranded; n != 2 {
		t.Errorf("%d phones are counted", n)
	}
}

// While the store cannot be read nobody's lease runs out: the others could not renew theirs.
func TestNobodyIsDeadBecauseTheStoreWasAway(t *testing.T) {
	f, o := startAmong(t, stored("1001", "n2", "sip:1001@a", telephony.TLS))
	o.set(func() { o.away = true })
	o.looked(t)
	f.clock.advance(time.Hour)
	o.looked(t)
	o.set(func() { o.away = false })
	o.looked(t)
	f.clock.advance(15 * time.Second)
	o.set(func() { o.signs["n2"]++ })
	o.looked(t)
	f.clock.advance(15 * time.Second)
	o.looked(t)
	if got := reachable(f, "1001"); got != "tls" {
		t.Errorf("the phone of a node that is there: %s", got)
	}
}

// Who was taken for dead and was not says so of each connection that it still has.
func TestWhoWasTakenForDeadTellsThatItIsNot(t *testing.T) {
	f, o := startAmong(t)
	p := f.phone("1001", "one", 7)
	p.must(200, nil)
	aor := telephony.NewAoR("1001", alice.Domain)
	f.memory.set(func(m *memory) {
		for k, b := range m.bindings {
			b.Reachable = false
			m.bindings[k] = b
		}
	})
	o.set(func() {
		o.changes = append(o.changes, telephony.RegistrationChange{Node: "n2", N: 1, AoR: aor, Kind: telephony.BindingFlowClosed})
	})
	await(t, f.memory, "the phone is saved as reachable again", func() bool {
		for _, b := range f.memory.bindings {
			if b.AoR == aor {
				return b.Reachable
			}
		}
		return false
	})
	if got := f.memory.told(); got != "registered 1001, registered 1001" {
		t.Errorf("told %s", got)
	}
	if got := reachable(f, "1001"); got != "tls" {
		t.Errorf("in memory: %s", got)
	}
}

// The store comes back in the middle of a turn, which began without a look at what other nodes have made of its phones: nothing of that
// is overwritten.
func TestAPhoneThatMovedAsTheStoreCameBack(t *testing.T) {
	m := newMemory()
	o := &others{memory: m, signs: map[string]int64{"n2": 100}}
	var stop atomic.Bool
	var stopped atomic.Int32
	back := make(chan struct{})
	f := newFixture(t, m, func(c *registrar.Config) {
		c.Bindings, c.Feed, c.Leases = o, o, o
		now := c.Now
		c.Now = func() time.Time { // which a turn asks for after it has looked at the store
			if stop.Load() {
				stopped.Add(1)
				<-back
			}
			return now()
		}
		c.Log = slog.New(logged{slog.DiscardHandler, "the store answers again", sync.OnceFunc(func() { close(back) })})
	})
	p := f.phone("1001", "one", 7)
	p.must(200, expires(600))
	o.set(func() { o.away = true })
	m.set(func(m *memory) { m.away = true })
	eventually(t, "the store is away", func() bool { return f.Counters().StoreAway })
	f.FlowClosed(p.flow)
	eventually(t, "the connection counts as closed", func() bool { return reachable(f, "1001") == "tls gone" })
	stop.Store(true)
	eventually(t, "all shards are in a turn", func() bool { return stopped.Load() >= 3 })
	m.set(func(m *memory) {
		for k, b := range m.bindings {
			b.Node, b.Flow.ID = "n2", 8
			m.bindings[k] = b
		}
		m.away = false
	})
	o.set(func() { o.away = false })
	eventually(t, "the store is back", func() bool {
		select {
		case <-back:
			return true
		default:
			return false
		}
	})
	stop.Store(false)
	eventually(t, "the phone is known to be at the other node", func() bool { return reachable(f, "1001") == "tls" })
	m.set(func(m *memory) {
		for _, b := range m.bindings {
			if b.Node != "n2" || !b.Reachable {
				t.Errorf("saved: %+v", b)
			}
		}
	})
}

// logged calls a function when a message is logged.
type logged struct {
	slog.Handler
	message string
	seen    func()
}

func (l logged) Enabled(context.Context, slog.Level) bool { return true }

func (l logged) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		l.seen()
	}
	return nil
}

// While the store is away a phone here is refreshed from memory. What is saved of that afterwards is the phone's own binding: the one
// that its user has at another node has changed since, as that node alone knows.
func TestWhatTheStoreMissedIsOurOwn(t *testing.T) {
	there := stored("1001", "n2", "sip:1001@there", telephony.UDP)
	f, o := startAmong(t, there)
	p := f.phone("1001", "one", 7)
	p.must(200, expires(600))
	f.clock.advance(10 * time.Second)
	o.set(func() { o.away = true })
	f.memory.set(func(m *memory) { m.away = true })
	p.must(200, expires(600)) // from memory
	f.memory.set(func(m *memory) {
		delete(m.bindings, there.ID()) // n2 was asked to, as soon as the store was back
		m.away, m.batches = false, nil
	})
	o.set(func() { o.away = false })
	await(t, f.memory, "the refresh is saved", func() bool { return len(f.memory.batches) > 0 })
	f.memory.set(func(m *memory) {
		for _, b := range m.bindings {
			if b.Node != "n1" {
				t.Errorf("n1 wrote %+v", b)
			}
		}
	})
}

// While the store cannot be reached from here a phone goes over to another node, and its connection here ends. When the store is back,
// what counts here too is where the phone is now.
func TestAPhoneThatMovedWhileTheStoreWasAway(t *testing.T) {
	f, o := startAmong(t)
	p := f.phone("1001", "one", 7)
	p.must(200, expires(600))
	o.set(func() { o.away = true })
	f.memory.set(func(m *memory) { m.away = true })
	eventually(t, "the store is away", func() bool { return f.Counters().StoreAway })
	f.FlowClosed(p.flow)
	eventually(t, "the connection counts as closed", func() bool { return reachable(f, "1001") == "tls gone" })
	aor := telephony.NewAoR("1001", alice.Domain)
	f.memory.set(func(m *memory) {
		for k, b := range m.bindings {
			b.Node, b.Flow.ID = "n2", 8
			m.bindings[k] = b
		}
		m.away = false
	})
	o.set(func() {
		o.away = false
		o.changes = append(o.changes, telephony.RegistrationChange{Node: "n2", N: 1, AoR: aor, Kind: telephony.BindingRegistered})
	})
	eventually(t, "the phone is known to be at the other node", func() bool { return reachable(f, "1001") == "tls" })
	f.memory.set(func(m *memory) {
		for _, b := range m.bindings {
			if b.Node != "n2" {
				t.Errorf("saved: %+v", b)
			}
		}
	})
}

// refusing is a feed that cannot be read as it should: n3's changes are pruned already, and bindings are refused for a while.
type refusing struct {
	*others
	mu           sync.Mutex
	pruned, read int
	refuses      bool
}

func (r *refusing) Heads(ctx context.Context) (map[string]int64, error) {
	heads, err := r.others.Heads(ctx)
	heads["n3"] = 5
	if r.looks == 0 {
		heads["n3"] = 0 // at the start
	}
	r.looks++
	return heads, err
}

func (r *refusing) Since(ctx context.Context, node string, n int64, limit int) ([]telephony.RegistrationChange, error) {
	if node == "n3" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pruned++
		return nil, nil
	}
	return r.others.Since(ctx, node, n, limit)
}

func (r *refusing) Of(ctx context.Context, aors []telephony.AoR) ([]registration.Binding, error) {
	r.mu.Lock()
	r.read++
	refuses := r.refuses
	r.mu.Unlock()
	if refuses {
		return nil, errors.New("permission denied")
	}
	return r.others.Of(ctx, aors)
}

func (r *refusing) counts() (pruned, read int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pruned, r.read
}

// paged is a feed that tells of one change at a time.
type paged struct {
	*others
	deadlines []time.Time
}

func (p *paged) Since(ctx context.Context, _ string, n int64, _ int) ([]telephony.RegistrationChange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	deadline, _ := ctx.Deadline()
	p.deadlines = append(p.deadlines, deadline)
	time.Sleep(time.Millisecond) // so that no two are the same
	return p.changes[n : n+1], nil
}

// A feed that is far behind is read page by page, and each has its time: else the store would count as away as long as that takes.
func TestEachPageOfAFeedHasItsTime(t *testing.T) {
	m := newMemory()
	p := &paged{others: &others{memory: m}}
	newFixture(t, m, func(c *registrar.Config) { c.Bindings, c.Feed = p, p })
	p.set(func() {
		for n := range int64(4) {
			p.changes = append(p.changes, telephony.RegistrationChange{Node: "n2", N: n + 1, AoR: alice, Kind: telephony.BindingRegistered})
		}
	})
	eventually(t, "all pages are read", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.deadlines) >= 4
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(slices.Compact(slices.Clone(p.deadlines))) != len(p.deadlines) {
		t.Errorf("pages shared their time: %v", p.deadlines)
	}
}

// A change that was pruned before it was read holds nobody's feed up, and bindings that the database refuses to tell are asked for with
// the clock, not as fast as the processor can.
func TestAFeedThatCannotBeRead(t *testing.T) {
	m := newMemory()
	r := &refusing{others: &others{memory: m}, refuses: true}
	f := newFixture(t, m, func(c *registrar.Config) { c.Bindings, c.Feed, c.Tick = r, r, 50*time.Millisecond })
	aor := telephony.NewAoR("1001", alice.Domain)
	there := stored("1001", "n2", "sip:1001@there", telephony.UDP)
	m.set(func(m *memory) { m.bindings[there.ID()] = there })
	r.set(func() {
		r.changes = append(r.changes, telephony.RegistrationChange{Node: "n2", N: 1, AoR: aor, Kind: telephony.BindingRegistered})
	})
	began := time.Now()
	eventually(t, "it is asked for again", func() bool { _, read := r.counts(); return read >= 5 })
	if _, read := r.counts(); read > 10+int(time.Since(began)/(10*time.Millisecond)) {
		t.Errorf("bindings were asked for %d times in %v", read, time.Since(began))
	}
	r.mu.Lock()
	r.refuses = false
	r.mu.Unlock()
	eventually(t, "the phone is known", func() bool { return reachable(f, "1001") == "udp" })
	if pruned, _ := r.counts(); pruned != 1 {
		t.Errorf("what is pruned was asked for %d times", pruned)
	}
}
