package registrar

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// Registrar keeps the bindings of one node. Its methods are safe for concurrent use.
type Registrar struct {
	node       string
	store      Bindings
	committer  *committer
	directory  authentication.Directory
	rules      registration.Rules
	volatile   bool
	senders    *authentication.Authenticator
	shards     []*shard
	seed       maphash.Seed
	timeout    time.Duration
	tick       time.Duration
	now        func() time.Time
	began      time.Time // by the wall clock, when elapsed was 0
	elapsed    func() time.Duration
	log        *slog.Logger
	tally      tally
	feed       Feed
	leases     Leases
	there      atomic.Pointer[map[string]bool] // which other nodes are; nil: nobody has looked yet
	present    func(node string) bool          // isPresent; nil when nobody looks
	changed    func([]telephony.AoR)
	gathers    Gathering
	prober     Prober
	probeEvery time.Duration
	probing    atomic.Int64
	departed   departures
	guessed    *bounded.Map[telephony.AoR, time.Time]
	failedAt   atomic.Int64 // when the store last failed, in Unix nanoseconds; 0 while it works

	stop    context.CancelFunc
	workers sync.WaitGroup
	watcher sync.WaitGroup
	probers sync.WaitGroup
}

// New returns a registrar that holds nothing yet.
func New(c Config) *Registrar {
	c = c.withDefaults()
	r := &Registrar{
		node: c.Node, store: c.Bindings, directory: c.Directory, rules: c.Rules,
		timeout: c.Timeout, tick: c.Tick, now: c.Now, elapsed: c.Elapsed, began: c.Now().Round(0).Add(-c.Elapsed()), log: c.Log, seed: maphash.MakeSeed(),
		volatile: c.Volatile, feed: c.Feed, leases: c.Leases, changed: c.Changed, gathers: c.Gathers, prober: c.Prober, probeEvery: c.ProbeEvery,
		departed: newDepartures(), guessed: bounded.NewMap[telephony.AoR, time.Time](maxGuessed),
	}
	r.committer = newCommitter(c.Bindings, r.safely)
	r.senders = authentication.New(authentication.Config{
		Directory: c.Directory, Timeout: c.Timeout, Offers: c.Offers, Algorithms: c.Algorithms, ThirdParty: c.ThirdParty,
		Node: c.Node, NonceKey: c.NonceKey, NonceLifetime: c.NonceLifetime, Now: c.Now,
		Away: r.leftAlone, Failed: func(err error) { r.storeFailed("directory", err) },
	})
	if c.Leases != nil {
		r.present = r.isPresent
	}
	for range c.Shards {
		r.shards = append(r.shards, newShard(r, c.Queue, r.began))
	}
	return r
}

// FlowClosed says that a stream has closed. Its bindings become unreachable within a second.
func (r *Registrar) FlowClosed(f telephony.Flow) {
	if !f.Transport.Stream() {
		return
	}
	for _, s := range r.shards {
		s.queue.close(f.ID)
	}
}

// FlowFailed says that the proxy in front of a phone answered 430: the flow that it names in its Path has ended, and with it
// the way of this binding alone (RFC 5626 §7, §11.5).
func (r *Registrar) FlowFailed(b registration.Binding) {
	if b.Node == r.node && b.Path != "" {
		r.shard(b.AoR).queue.probed(probed{id: b.ID(), flow: b.Flow, failed: b.RefreshedAt})
	}
}

func (r *Registrar) announce(changes []telephony.RegistrationChange) {
	var aors []telephony.AoR
	for _, c := range changes {
		if c.Kind.OfBinding() && !slices.Contains(aors, c.AoR) {
			aors = append(aors, c.AoR)
		}
	}
	r.announceAoRs(aors)
}

func (r *Registrar) announceAoRs(aors []telephony.AoR) {
	defer r.recovered()
	if r.changed != nil && len(aors) > 0 {
		r.changed(aors)
	}
}

// Each visits every binding, also those that cannot be reached now. Of what changes meanwhile it may miss some.
func (r *Registrar) Each(visit func(registration.Binding)) {
	for _, s := range r.shards {
		for next := uint32(1); next != 0; {
			var some []registration.Binding
			s.mu.RLock()
			some, next = s.locations.From(next)
			s.mu.RUnlock()
			for _, b := range some {
				visit(b)
			}
		}
	}
}

// Counters returns a snapshot.
func (r *Registrar) Counters() Counters {
	c := r.tally.snapshot()
	c.StoreAway = r.storeAway()
	for _, s := range r.shards {
		s.mu.RLock()
		c.Bindings += s.locations.Len()
		s.mu.RUnlock()
	}
	return c
}

// shard returns who owns an AoR. Domains are few, so that the user alone spreads them.
func (r *Registrar) shard(aor telephony.AoR) *shard {
	return r.shards[maphash.Comparable(r.seed, aor.User)%uint64(len(r.shards))]
}
