package registrar

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/digest"
)

// Config of a Registrar. Node, Directory and Bindings are needed.
type Config struct {
	Node       string // names this node in the store; stable over restarts
	Directory  Directory
	Bindings   Bindings
	Offers     Offers             // OfferMD5 when nil
	Algorithms []digest.Algorithm // all that Offers may return: hashes of others are not kept in memory; nil: any
	Rules      Rules              // what is 0 is taken from the defaults: 1 min, 1 h, 2 h, 10 contacts
	ThirdParty bool               // lets From differ from To
	Volatile   bool               // saves no refreshes, and comings and goings a moment after the reply; a restart ends every binding

	NonceKey      []byte        // random when empty
	NonceLifetime time.Duration // 10 minutes when 0

	Feed   Feed   // what other nodes on the same store do; nil: there are none
	Leases Leases // which of them are there; nil: nobody looks

	// Changed is told whose bindings have changed, once it is true in memory. It must not block. Nil: nobody is.
	Changed func([]telephony.AoR)

	Gathers Gathering // who replies, when several replies may go out together; nil: nobody

	Prober     Prober        // keeps phones behind NAT reachable over UDP; nil: nobody does
	ProbeEvery time.Duration // 25 s when 0

	Shards  int           // one per processor, at most 8, when 0
	Queue   int           // requests that may wait per shard; 1024 when 0
	Timeout time.Duration // of one lookup or save; 2 s when 0
	Tick    time.Duration // how often expiry and the directory's version are looked at; 250 ms when 0

	Now     func() time.Time
	Elapsed func() time.Duration // what has passed since some moment, by a clock that is never set; nil: as Now tells
	Log     *slog.Logger
}

// retryPause is how long the store is left alone after it failed, and the least Retry-After in seconds.
const (
	retryPause = time.Second
	retryAfter = 5
)

// Registrar keeps the bindings of one node. Its methods are safe for concurrent use.
type Registrar struct {
	node        string
	store       Bindings
	committer   *committer
	directory   Directory
	offers      Offers
	rules       Rules
	thirdParty  bool
	volatile    bool
	verifier    *digest.Verifier
	credentials *credentials
	shards      []*shard
	seed        maphash.Seed
	timeout     time.Duration
	tick        time.Duration
	now         func() time.Time
	began       time.Time // by the wall clock, when elapsed was 0
	elapsed     func() time.Duration
	log         *slog.Logger
	tally       tally
	feed        Feed
	leases      Leases
	there       atomic.Pointer[map[string]bool] // which other nodes are; nil: nobody has looked yet
	present     func(node string) bool          // isPresent; nil when nobody looks
	changed     func([]telephony.AoR)
	gathers     Gathering
	prober      Prober
	probeEvery  time.Duration
	probing     atomic.Int64
	departed    departures
	oldNonces   repeats
	guessed     *bounded.Map[telephony.AoR, time.Time]
	failedAt    atomic.Int64 // when the store last failed, in Unix nanoseconds; 0 while it works

	stop    context.CancelFunc
	workers sync.WaitGroup
	watcher sync.WaitGroup
	probers sync.WaitGroup
}

// New returns a registrar that holds nothing yet.
func New(c Config) *Registrar {
	c = c.withDefaults()
	r := &Registrar{
		node: c.Node, store: c.Bindings, directory: c.Directory, offers: c.Offers, rules: c.Rules,
		thirdParty: c.ThirdParty, timeout: c.Timeout, tick: c.Tick, now: c.Now, elapsed: c.Elapsed, began: c.Now().Round(0).Add(-c.Elapsed()), log: c.Log, seed: maphash.MakeSeed(),
		volatile: c.Volatile, feed: c.Feed, leases: c.Leases, changed: c.Changed, gathers: c.Gathers, prober: c.Prober, probeEvery: c.ProbeEvery,
		departed: newDepartures(), guessed: bounded.NewMap[telephony.AoR, time.Time](maxGuessed),
		verifier: digest.NewVerifier(digest.Config{
			Key: c.NonceKey, Node: c.Node, Lifetime: c.NonceLifetime, Now: c.Now,
		}),
	}
	r.committer = newCommitter(c.Bindings, r.safely)
	r.credentials = newCredentials(c.Directory, c.Timeout, c.Algorithms, c.Now, r.storeAway)
	if c.Leases != nil {
		r.present = r.isPresent
	}
	for range c.Shards {
		r.shards = append(r.shards, newShard(r, c.Queue, r.began))
	}
	return r
}

func (c Config) withDefaults() Config {
	c.Rules.MinExpires = cmp.Or(c.Rules.MinExpires, defaultRules.MinExpires)
	c.Rules.DefaultExpires = cmp.Or(c.Rules.DefaultExpires, defaultRules.DefaultExpires)
	c.Rules.MaxExpires = cmp.Or(c.Rules.MaxExpires, defaultRules.MaxExpires)
	c.Rules.Contacts = cmp.Or(c.Rules.Contacts, defaultRules.Contacts)
	c.Shards = cmp.Or(c.Shards, min(8, runtime.GOMAXPROCS(0)))
	c.Queue = cmp.Or(c.Queue, 1024)
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.ProbeEvery = cmp.Or(c.ProbeEvery, 25*time.Second)
	c.Tick = cmp.Or(c.Tick, 250*time.Millisecond)
	if c.Offers == nil {
		c.Offers = OfferMD5
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		began, now := c.Now(), c.Now
		c.Elapsed = func() time.Duration { return now().Sub(began) } // which is not set where Now has the clock's monotonic reading
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.NonceKey) == 0 {
		c.NonceKey = make([]byte, 32)
		rand.Read(c.NonceKey) // never fails: crypto/rand ends the process instead
	}
	return c
}

// Start loads the node's bindings, tells of those that ended or lost their connection with the last life, and begins to
// work. The context bounds the start only.
func (r *Registrar) Start(ctx context.Context) error {
	version, err := r.directory.Version(ctx)
	if err != nil {
		return fmt.Errorf("registrar: directory: %w", err)
	}
	if err := r.credentials.load(ctx); err != nil {
		return fmt.Errorf("registrar: domains: %w", err)
	}
	if err := r.load(ctx); err != nil {
		return fmt.Errorf("registrar: bindings: %w", err)
	}
	heads, err := r.join(ctx)
	if err != nil {
		return fmt.Errorf("registrar: bindings of other nodes: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	r.stop = stop
	if r.feed != nil {
		r.watcher.Go(func() { r.follow(life, heads) })
	}
	if r.feed != nil && r.leases != nil {
		r.watcher.Go(func() { r.watchLeases(life) })
	}
	for _, s := range r.shards {
		r.workers.Go(func() { s.run(life) })
	}
	r.watcher.Go(func() { r.watch(life, version) })
	return nil
}

// load takes the stored bindings into memory. A stream of an earlier life is gone with it.
func (r *Registrar) load(ctx context.Context) error {
	loaded, err := r.store.Load(ctx, r.node)
	if err != nil {
		return err
	}
	for _, b := range loaded {
		r.shard(b.AoR).add(b)
	}
	for _, s := range r.shards {
		if err := s.recount(ctx, s.now()); err != nil {
			return err
		}
	}
	return nil
}

// recount marks and tells of what the node's last life left behind, in saves of bounded size. Volatile bindings are over:
// how long they were refreshed is not known any more.
func (s *shard) recount(ctx context.Context, now time.Time) error {
	d := s.newDraft()
	for aor := range s.locations.all() {
		before := s.locations.of(aor)
		bindings, changes := expire(before, s.r.node, s.r.present, now)
		if s.r.volatile {
			for _, b := range bindings {
				changes = append(changes, b.change(telephony.BindingExpired, now))
			}
			bindings = nil
		}
		for i, b := range bindings {
			if b.ownsStream() {
				bindings[i].Reachable = false
				changes = append(changes, bindings[i].strandedBy(now))
			}
		}
		if len(changes) == 0 {
			continue
		}
		d.set(aor, before, bindings)
		d.changes = append(d.changes, changes...)
		if len(d.changes) >= maxBackground {
			if err := s.save(ctx, d); err != nil {
				return err
			}
			s.apply(d)
			d = s.newDraft()
		}
	}
	if err := s.save(ctx, d); err != nil {
		return err
	}
	s.apply(d)
	return nil
}

// Stop answers what waits, refuses what comes, and returns when nothing runs any more. Bindings stay in the store. When
// the context ends first, work in progress is cut off.
func (r *Registrar) Stop(ctx context.Context) error {
	if r.stop == nil {
		return nil
	}
	for _, s := range r.shards {
		s.queue.end()
	}
	done := make(chan struct{})
	go func() {
		r.workers.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("registrar: stopped before all requests were answered: %w", ctx.Err())
	}
	r.stop()
	<-done
	r.watcher.Wait()
	r.probers.Wait()
	return err
}

// FlowClosed says that a stream has closed. Its bindings become unreachable within a second.
func (r *Registrar) FlowClosed(f Flow) {
	if !f.Transport.Stream() {
		return
	}
	for _, s := range r.shards {
		s.queue.close(f.ID)
	}
}

// FlowFailed says that the proxy in front of a phone answered 430: the flow that it names in its Path has ended, and with it
// the way of this binding alone (RFC 5626 §7, §11.5).
func (r *Registrar) FlowFailed(b Binding) {
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
func (r *Registrar) Each(visit func(Binding)) {
	for _, s := range r.shards {
		for next := uint32(1); next != 0; {
			var some []Binding
			s.mu.RLock()
			some, next = s.locations.from(next)
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
		c.Bindings += s.locations.len()
		s.mu.RUnlock()
	}
	return c
}

// shard returns who owns an AoR. Domains are few, so that the user alone spreads them.
func (r *Registrar) shard(aor telephony.AoR) *shard {
	return r.shards[maphash.Comparable(r.seed, aor.User)%uint64(len(r.shards))]
}

// watch drops cached credentials when the directory changes, and notices when the store is back.
func (r *Registrar) watch(ctx context.Context, version int64) {
	tick := time.NewTicker(r.tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		current := version
		err := r.safely(func() (err error) {
			bounded, cancel := context.WithTimeout(ctx, r.timeout)
			defer cancel()
			current, err = r.directory.Version(bounded)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.storeFailed("directory", err)
		default:
			r.storeBack()
			if current != version && r.reload(ctx) {
				version = current
			}
		}
	}
}

// reload forgets what the directory said before it changed. Until that is done, the old word counts.
func (r *Registrar) reload(ctx context.Context) bool {
	err := r.safely(func() error { return r.credentials.load(ctx) })
	if err != nil && ctx.Err() == nil {
		r.storeFailed("directory", err)
	}
	return err == nil
}

func (r *Registrar) storeAway() bool { return r.failedAt.Load() != 0 }

// storeFailed notes that the store is away, if that is what the error says. A store that was not asked has not failed
// again: else phones that keep asking would keep it away for ever.
func (r *Registrar) storeFailed(what string, err error) {
	if errors.Is(err, errNotAsked) {
		return
	}
	if !errors.Is(err, ErrStoreAway) && !errors.Is(err, context.DeadlineExceeded) {
		r.log.Error("the store refused a registrar's question", "what", what, "error", err)
		return
	}
	if r.failedAt.Swap(time.Now().UnixNano()) == 0 {
		r.log.Warn("the store is away: registrations are refreshed from memory, new ones get 503",
			"what", what, "error", err)
	}
}

func (r *Registrar) storeBack() {
	failed := r.failedAt.Load()
	if failed == 0 || time.Since(time.Unix(0, failed)) < retryPause {
		return
	}
	if r.failedAt.CompareAndSwap(failed, 0) {
		r.log.Info("the store answers again")
	}
}

func (r *Registrar) unavailable() Reply { return Reply{Status: 503, RetryAfter: retryAfter} }

// panicked counts and logs a fault of the program. What it says is logged only when it is the runtime's: other values
// could hold parts of a message.
func (r *Registrar) panicked(fault any) {
	r.tally.panics.Add(1)
	known, _ := fault.(runtime.Error)
	r.log.Error("a panic while the registrar worked: it cost what caused it, and nothing else", "error", known,
		"stack", string(debug.Stack()))
}

// safely makes an error of a panic.
func (r *Registrar) safely(do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			r.panicked(fault)
			err = errFault
		}
	}()
	return do()
}

// recovered is deferred where what others gave us to call runs.
func (r *Registrar) recovered() {
	if fault := recover(); fault != nil {
		r.panicked(fault)
	}
}
