package registrar_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"demarc/telephony/registrar"
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
	requests := make([]*registrar.Request, phones)
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
		f.Register(t.Context(), req, func(r registrar.Reply) { statuses[i] = r.Status; wait.Done() })
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
