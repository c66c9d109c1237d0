package authentication

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registration"
)

const (
	maxKnown   = 100_000 // subscribers whose hashes are held in memory
	maxUnknown = 10_000  // names that are not in the directory, remembered so that guessing costs no lookup each time
	maxAgain   = 10_000  // AoRs that wrong answers look up again in a second
	rereads    = 3       // lookups of one AoR in a second that wrong answers cause; drop ends what they miss
)

// lookup says how far to look.
type lookup struct {
	now    time.Time // zero: to be asked for
	asOf   time.Time // what the directory said before then does not do; zero: anything does
	memory bool      // nobody is asked: errNotInMemory when the directory would have to be
}

var errNotInMemory = errors.New("not in memory")

// credentials holds what the directory said, until the directory changes. It is safe for concurrent use.
type credentials struct {
	directory Directory
	timeout   time.Duration
	offer     []digest.Algorithm // see wallet
	now       func() time.Time
	away      func() error // why nothing is asked; nil while it is

	mu         sync.Mutex
	generation int64
	known      *wallet
	unknown    map[telephony.AoR]time.Time // when the directory was asked
	again      budget

	domains atomic.Pointer[map[string]Domain] // all that are served; the map is never written to
}

type entry struct {
	subscriber Subscriber
	found      bool
	read       time.Time // when the directory was asked

	// The subscriber's hashes, where the wallet knows it: they are read when one is asked for.
	hashes compact.Kept
	begin  int    // of them
	realm  string // of the domain
}

// hash returns the subscriber's hash of an algorithm and realm.
func (e *entry) hash(a digest.Algorithm, realm string) (digest.Hash, bool) {
	for _, h := range e.subscriber.Hashes {
		if h.Algorithm == a && h.Realm == realm {
			return h, true
		}
	}
	for r := (compact.Reader{Rest: e.hashes.Text()[e.begin:]}); r.Rest != ""; {
		if h := readHash(&r, e.realm); h.Algorithm == a && h.Realm == realm {
			return h, true
		}
	}
	return digest.Hash{}, false
}

// proven reports whether one of the subscriber's hashes has the mark.
func (e *entry) proven(seed maphash.Seed, mark uint32) bool {
	if !e.found {
		return false
	}
	for _, h := range e.subscriber.Hashes {
		if h.Mark(seed) == mark {
			return true
		}
	}
	for r := (compact.Reader{Rest: e.hashes.Text()[e.begin:]}); r.Rest != ""; {
		if h := readHash(&r, e.realm); h.Mark(seed) == mark {
			return true
		}
	}
	return false
}

// budget counts the lookups of each AoR within one second.
type budget struct {
	since time.Time
	spent map[telephony.AoR]int
}

func (b *budget) take(aor telephony.AoR, now time.Time) bool {
	if since := now.Sub(b.since); b.spent == nil || since >= time.Second || since < 0 {
		*b = budget{since: now, spent: make(map[telephony.AoR]int)}
	}
	if len(b.spent) >= maxAgain {
		return false
	}
	b.spent[aor]++
	return b.spent[aor] <= rereads
}

func newCredentials(d Directory, timeout time.Duration, offer []digest.Algorithm, now func() time.Time, away func() error) *credentials {
	c := &credentials{directory: d, timeout: timeout, offer: offer, now: now, away: away}
	c.domains.Store(new(map[string]Domain))
	c.drop()
	return c
}

// drop forgets all subscribers. Lookups on their way are not kept. The lock is the caller's.
func (c *credentials) drop() {
	c.generation++
	c.known = newWallet(c.now(), c.offer)
	c.unknown = make(map[telephony.AoR]time.Time)
}

// subscriber returns who owns the AoR, as the directory said at l.asOf or later; only when it was asked too often within
// this second, or cannot be asked, an older word is returned.
func (c *credentials) subscriber(ctx context.Context, aor telephony.AoR, l lookup) (entry, error) {
	if !registration.PossibleUser(aor.User) {
		return entry{}, nil // nobody can have that name
	}
	away, now := c.away(), l.now
	if now.IsZero() {
		now = c.now()
	}
	c.mu.Lock()
	e, ok := c.find(aor)
	enough := ok && (away != nil || !e.read.Before(l.asOf) || !c.again.take(aor, now))
	generation := c.generation
	c.mu.Unlock()
	if enough {
		return e, nil
	}
	switch {
	case l.memory:
		return entry{}, errNotInMemory
	case away != nil:
		return entry{}, away
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	s, err := c.directory.Subscriber(ctx, aor)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return entry{}, err
	}
	e = entry{subscriber: s, found: err == nil, read: now}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.keep(aor, e)
	}
	return e, nil
}

func (c *credentials) find(aor telephony.AoR) (e entry, ok bool) {
	if e, ok = c.known.find(aor); !ok {
		e.read, ok = c.unknown[aor]
	}
	return e, ok
}

func (c *credentials) keep(aor telephony.AoR, e entry) {
	c.known.remove(aor)
	delete(c.unknown, aor)
	if !e.found {
		makeRoom(c.unknown, maxUnknown)
		c.unknown[aor] = e.read
		return
	}
	c.known.makeRoom(maxKnown)
	if e.subscriber.AoR == aor {
		c.known.keep(e.subscriber, e.read, (*c.domains.Load())[aor.Domain].Realm)
	}
}

// domain returns a domain that is served. It answers from memory alone, and so in the same time for any other.
func (c *credentials) domain(name string) (Domain, bool) {
	d, served := (*c.domains.Load())[name]
	return d, served
}

// load reads which domains are served, and forgets what the directory said of subscribers before.
func (c *credentials) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	domains, err := c.directory.Domains(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	c.domains.Store(&domains)
	return nil
}

// makeRoom drops any one entry of a full map: Go's map order is random enough for a cache.
func makeRoom[K comparable, V any](m map[K]V, limit int) {
	if len(m) < limit {
		return
	}
	for k := range m {
		delete(m, k)
		return
	}
}
