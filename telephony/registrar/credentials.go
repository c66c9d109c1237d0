package registrar

import (
	"context"
	"errors"
	"sync"
	"time"

	"demarc/telephony"
)

const (
	maxKnown   = 100_000 // subscribers whose hashes are held in memory
	maxUnknown = 10_000  // names that are not in the directory, remembered so that guessing costs no lookup each time
	maxDomains = 1_000
	maxAgain   = 10_000 // AoRs that wrong answers look up again in a second
	rereads    = 3      // lookups of one AoR in a second that wrong answers cause; drop ends what they miss
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
	now       func() time.Time
	away      func() bool // while true nothing is asked

	mu         sync.Mutex
	generation int64
	known      *wallet
	unknown    map[telephony.AoR]time.Time // when the directory was asked
	domains    map[string]domainEntry
	again      budget
}

type entry struct {
	subscriber Subscriber
	found      bool
	read       time.Time // when the directory was asked
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

type domainEntry struct {
	domain Domain
	found  bool
}

func newCredentials(d Directory, timeout time.Duration, now func() time.Time, away func() bool) *credentials {
	c := &credentials{directory: d, timeout: timeout, now: now, away: away}
	c.drop()
	return c
}

// drop forgets everything. Lookups on their way are not kept.
func (c *credentials) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.known = newWallet(c.now())
	c.unknown = make(map[telephony.AoR]time.Time)
	c.domains = make(map[string]domainEntry)
}

// subscriber returns who owns the AoR, as the directory said at l.asOf or later; only when it was asked too often within
// this second, or cannot be asked, an older word is returned.
func (c *credentials) subscriber(ctx context.Context, aor telephony.AoR, l lookup) (entry, error) {
	if len(aor.User) > maxUser || !storable(aor.User) {
		return entry{}, nil // nobody can have that name
	}
	away, now := c.away(), l.now
	if now.IsZero() {
		now = c.now()
	}
	c.mu.Lock()
	e, ok := c.find(aor)
	enough := ok && (away || !e.read.Before(l.asOf) || !c.again.take(aor, now))
	generation := c.generation
	c.mu.Unlock()
	if enough {
		return e, nil
	}
	switch {
	case l.memory:
		return entry{}, errNotInMemory
	case away:
		return entry{}, errNotAsked
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
		c.known.keep(e.subscriber, e.read, c.domains[aor.Domain].domain.Realm)
	}
}

func (c *credentials) domain(ctx context.Context, name string, l lookup) (Domain, bool, error) {
	c.mu.Lock()
	e, ok := c.domains[name]
	generation := c.generation
	c.mu.Unlock()
	if ok {
		return e.domain, e.found, nil
	}
	switch {
	case hostText(name) != name:
		return Domain{}, false, nil
	case l.memory:
		return Domain{}, false, errNotInMemory
	case c.away():
		return Domain{}, false, errNotAsked
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	d, err := c.directory.Domain(ctx, name)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Domain{}, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.makeDomainRoom()
		c.domains[name] = domainEntry{domain: d, found: err == nil}
	}
	return d, err == nil, nil
}

// makeDomainRoom drops a name that is not served before one that is: strangers may send any number of names.
func (c *credentials) makeDomainRoom() {
	if len(c.domains) < maxDomains {
		return
	}
	for name, e := range c.domains {
		if !e.found {
			delete(c.domains, name)
			return
		}
	}
	makeRoom(c.domains, maxDomains)
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
