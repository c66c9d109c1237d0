package lamps

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
)

// Config of a Follower. Everything but Beat and Lost is needed.
type Config struct {
	Node    string                                                                  // this one
	Nodes   func() []string                                                         // the others that are there
	Ask     func(ctx context.Context, node string, question []byte) ([]byte, error) // puts a question to another node
	Changed func(telephony.AoR)                                                     // what is known of an extension has changed; does not block
	Log     *slog.Logger

	Beat time.Duration // how often the nodes are looked at, and one that fails is asked again; 1 s when 0
	Lost time.Duration // after which a node that answers nothing has no dialogs; 20 s when 0
}

// Follower knows the dialogs that watched extensions have at other nodes. Its methods are safe for concurrent use.
type Follower struct {
	Config
	lost atomic.Uint64

	mu    sync.Mutex
	want  map[telephony.AoR]watch
	turns uint64 // counts watches
	peers map[string]*peer
	seen  map[telephony.AoR]map[string][]events.Dialog // by node; none is empty
}

// watch is what makes an extension watched. Its number tells one that has ended from the next.
type watch struct {
	account account.ID
	number  uint64
}

// NewFollower returns a Follower that watches nobody yet.
func NewFollower(c Config) *Follower {
	if c.Beat == 0 {
		c.Beat = time.Second
	}
	if c.Lost == 0 {
		c.Lost = 20 * time.Second
	}
	return &Follower{
		Config: c, want: make(map[telephony.AoR]watch), peers: make(map[string]*peer),
		seen: make(map[telephony.AoR]map[string][]events.Dialog),
	}
}

// Watch says that somebody watches an extension from now on. It never blocks.
func (f *Follower) Watch(acc account.ID, aor telephony.AoR) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns++
	f.want[aor] = watch{acc, f.turns}
	f.wake()
}

// Unwatch says that nobody does any more. It never blocks.
func (f *Follower) Unwatch(aor telephony.AoR) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.want, aor)
	delete(f.seen, aor)
	f.wake()
}

func (f *Follower) wake() {
	for _, p := range f.peers {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// Dialogs returns the dialogs of an extension at other nodes, as far as it is watched.
func (f *Follower) Dialogs(aor telephony.AoR) (all []events.Dialog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(f.seen[aor])) {
		all = append(all, f.seen[aor][node]...)
	}
	return all
}

// Losses returns how often a node's dialogs were given up because it answered nothing for too long.
func (f *Follower) Losses() uint64 { return f.lost.Load() }

// Run follows the other nodes until the context ends.
func (f *Follower) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	look := time.NewTicker(f.Beat)
	defer look.Stop()
	for {
		f.meet(ctx, &work)
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// meet begins to follow the nodes that have come, and leaves those that have gone.
func (f *Follower) meet(ctx context.Context, work *sync.WaitGroup) {
	there := f.Nodes()
	f.mu.Lock()
	defer f.mu.Unlock()
	for node, p := range f.peers {
		if !slices.Contains(there, node) {
			p.leave()
		}
	}
	for _, node := range there {
		if f.peers[node] != nil || node == f.Node {
			continue
		}
		p := &peer{f: f, node: node, wake: make(chan struct{}, 1)}
		var life context.Context
		life, p.leave = context.WithCancel(ctx)
		f.peers[node] = p
		work.Go(func() {
			p.follow(life)
			f.forget(node)
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.peers, node) // when it comes back now, another one follows it
		})
	}
}

// learn takes in what a node has told.
func (f *Follower) learn(node string, states []State) {
	var changed []telephony.AoR
	f.mu.Lock()
	for _, s := range states {
		if _, ok := f.want[s.AoR]; ok && f.set(node, s) {
			changed = append(changed, s.AoR)
		}
	}
	f.mu.Unlock()
	for _, aor := range changed {
		f.Changed(aor)
	}
}

// set reports whether a state is another one than before.
func (f *Follower) set(node string, s State) bool {
	at := f.seen[s.AoR]
	switch {
	case len(s.Dialogs) == 0 && len(at[node]) == 0, reflect.DeepEqual(at[node], s.Dialogs):
		return false
	case len(s.Dialogs) == 0:
		if delete(at, node); len(at) == 0 {
			delete(f.seen, s.AoR)
		}
	case at == nil:
		f.seen[s.AoR] = map[string][]events.Dialog{node: s.Dialogs}
	default:
		at[node] = s.Dialogs
	}
	return true
}

// forget puts out the lamps of a node.
func (f *Follower) forget(node string) {
	var states []State
	f.mu.Lock()
	for aor, at := range f.seen {
		if len(at[node]) > 0 {
			states = append(states, State{AoR: aor})
		}
	}
	f.mu.Unlock()
	f.learn(node, states)
}
