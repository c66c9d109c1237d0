package events

import (
	"slices"
	"sync"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
)

// dialogID names a subscription's dialog (RFC 3261 §12).
type dialogID struct{ callID, local, remote, event, id string }

// subscription is one subscription. Its fields are guarded by the table's lock.
type subscription struct {
	id      dialogID
	user    telephony.AoR // who watches
	pkg     eventPackage
	of      watched
	flow    registrar.Flow // of the last SUBSCRIBE
	contact string
	route   []string
	from    string // of the SUBSCRIBE: the To of our NOTIFYs
	to      string
	remote  uint32 // the last CSeq of the phone
	local   uint32 // our last CSeq
	expires time.Time
	version int // of the next document

	sending bool      // one NOTIFY at a time, so that they arrive in order
	dirty   bool      // there is news that no NOTIFY has told yet
	next    time.Time // before then there is no other NOTIFY
	over    string    // a Subscription-State that ends it, when one NOTIFY was still under way
}

type watchKey struct {
	event string
	aor   telephony.AoR
}

// table holds the subscriptions.
type table struct {
	mu       sync.Mutex
	all      map[dialogID]*subscription
	watchers map[watchKey][]*subscription
	users    map[telephony.AoR]int
	streams  map[uint64][]*subscription // by the number of the connection that is their only way
	leaving  bool                       // nothing new is taken
	closed   bool                       // nothing new is sent
}

func newTable() table {
	return table{
		all: make(map[dialogID]*subscription), watchers: make(map[watchKey][]*subscription),
		users: make(map[telephony.AoR]int), streams: make(map[uint64][]*subscription),
	}
}

// add reports why there is no room. A subscription of the same dialog gives way: it is the same request again.
func (t *table) add(s *subscription, perUser, total int) (user, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if again := t.all[s.id]; again != nil {
		t.removeLocked(again)
		s.local, s.version = again.local, again.version // the phone goes on counting
	}
	switch {
	case len(t.all) >= total, t.leaving:
		return false, true
	case t.users[s.user] >= perUser:
		return true, false
	}
	t.all[s.id] = s
	key := watchKey{s.pkg.name, s.of.aor}
	t.watchers[key] = append(t.watchers[key], s)
	t.users[s.user]++
	t.enter(s)
	return false, false
}

// enter notes over which connection a subscription is reached. Behind a proxy it is not the connection's alone: another one is opened
// when it has closed.
func (t *table) enter(s *subscription) {
	if s.flow.Transport.Stream() && len(s.route) == 0 {
		t.streams[s.flow.ID] = append(t.streams[s.flow.ID], s)
	}
}

func (t *table) leave(s *subscription) { drop(t.streams, s.flow.ID, s) }

// drop takes a subscription out of a list of one of the maps.
func drop[K comparable](m map[K][]*subscription, key K, s *subscription) {
	if left := slices.DeleteFunc(m[key], func(o *subscription) bool { return o == s }); len(left) > 0 {
		m[key] = left
	} else {
		delete(m, key)
	}
}

// over takes out what has ended with a connection.
func (t *table) over(flow uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range slices.Clone(t.streams[flow]) {
		t.removeLocked(s)
	}
}

// remove takes a subscription out and reports whether it was there.
func (t *table) remove(s *subscription) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.removeLocked(s)
}

func (t *table) removeLocked(s *subscription) bool {
	if t.all[s.id] != s {
		return false
	}
	delete(t.all, s.id)
	drop(t.watchers, watchKey{s.pkg.name, s.of.aor}, s)
	t.leave(s)
	if t.users[s.user]--; t.users[s.user] == 0 {
		delete(t.users, s.user)
	}
	return true
}

func (t *table) find(id dialogID) *subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[id]
}

func (t *table) watching(event string, aor telephony.AoR) []*subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.watchers[watchKey{event, aor}])
}

// due takes out what has ended, and returns what has news to tell after its pause.
func (t *table) due(now time.Time) (ended, news []*subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.all {
		switch {
		case !s.expires.After(now):
			ended = append(ended, s)
		case s.dirty && !s.sending && !now.Before(s.next):
			news = append(news, s)
		}
	}
	for _, s := range ended {
		t.removeLocked(s)
	}
	return ended, news
}

// drain takes everything out.
func (t *table) drain() []*subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = true
	var all []*subscription
	for _, s := range t.all {
		all = append(all, s)
	}
	for _, s := range all {
		t.removeLocked(s)
	}
	return all
}

func (t *table) count() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := make(map[string]int)
	for _, s := range t.all {
		n[s.pkg.name]++
	}
	return n
}
