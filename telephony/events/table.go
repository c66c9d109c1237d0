package events

import (
	"slices"
	"sync"
	"time"

	"demarc/telephony"
)

// dialogID names a subscription's dialog (RFC 3261 §12).
type dialogID struct{ callID, local, remote, event, id string }

// subscription is one subscription. Its fields are guarded by the table's lock.
type subscription struct {
	id      dialogID
	user    telephony.AoR // who watches
	pkg     eventPackage
	of      watched
	flow    telephony.Flow // of the last SUBSCRIBE
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
	placed  bool      // it counts among its user's
	over    string    // the Subscription-State of its last NOTIFY, while that is owed
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
	users    map[telephony.AoR]int      // places that are taken, by user
	places   int                        // in all
	streams  map[uint64][]*subscription // by the number of the connection that is their only way
	leaving  bool                       // nothing new is taken
	closed   bool                       // nothing new is sent

	elsewhere Elsewhere
}

func newTable(e Elsewhere) table {
	return table{
		elsewhere: e,
		all:       make(map[dialogID]*subscription), watchers: make(map[watchKey][]*subscription),
		users: make(map[telephony.AoR]int), streams: make(map[uint64][]*subscription),
	}
}

// add reports why there is no room. A subscription has its place until it is over and its last NOTIFY has ended, so that who subscribes
// and leaves again and again without an answer to any takes no more than others; one that owes only that from the start has nothing else.
func (t *table) add(s *subscription, perUser, total int) (user, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.places >= total, t.leaving:
		return false, true
	case t.users[s.user] >= perUser:
		return true, false
	}
	s.placed = true
	t.places++
	t.users[s.user]++
	if s.over == "" {
		t.all[s.id] = s
		key := watchKey{s.pkg.name, s.of.aor}
		t.watchers[key] = append(t.watchers[key], s)
		if s.pkg.name == dialogPackage && len(t.watchers[key]) == 1 && t.elsewhere != nil {
			t.elsewhere.Watch(s.of.account, s.of.aor)
		}
		t.enter(s)
	}
	return false, false
}

// settle gives back the place of a subscription that is over and of which no NOTIFY is under way or owed.
func (t *table) settle(s *subscription) {
	if !s.placed || s.sending || s.over != "" || t.all[s.id] == s {
		return
	}
	s.placed = false
	t.places--
	if t.users[s.user]--; t.users[s.user] == 0 {
		delete(t.users, s.user)
	}
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
		t.remove(s)
		t.settle(s)
	}
}

// end takes a subscription out, unless it is over already; from then on it owes a last NOTIFY with that state.
func (t *table) end(s *subscription, state string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(s, state)
}

func (t *table) endLocked(s *subscription, state string) {
	if t.remove(s) {
		s.over = state
	}
}

// remove takes a subscription out and reports whether it was there; its place is to be settled.
func (t *table) remove(s *subscription) bool {
	if t.all[s.id] != s {
		return false
	}
	delete(t.all, s.id)
	key := watchKey{s.pkg.name, s.of.aor}
	drop(t.watchers, key, s)
	if s.pkg.name == dialogPackage && len(t.watchers[key]) == 0 && t.elsewhere != nil {
		t.elsewhere.Unwatch(s.of.aor)
	}
	t.leave(s)
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
		t.endLocked(s, timedOut)
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
		t.endLocked(s, "terminated;reason=deactivated")
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
