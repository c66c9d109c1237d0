package lamps

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
)

const (
	holdTime = 15 * time.Second // a question waits that long: less than a transaction between nodes may last
	ownerFor = 2 * time.Minute  // a session of which nothing is heard for so long has ended
)

// Teller tells other nodes of this one's dialogs. Its methods are safe for concurrent use.
type Teller struct {
	dialogs events.Dialogs

	open     atomic.Int32 // sessions: what changes while there is none costs nothing
	mu       sync.Mutex
	sessions map[string]*session // by node
}

// session is what one node watches here. The Teller's lock guards it.
type session struct {
	name    string
	watched map[telephony.AoR]account.ID
	news    map[telephony.AoR]struct{} // of whom there is something to tell
	wake    chan struct{}
	heard   time.Time
}

// NewTeller returns a Teller for this node's dialogs.
func NewTeller(d events.Dialogs) *Teller {
	return &Teller{dialogs: d, sessions: make(map[string]*session)}
}

// Changed says that an extension's dialogs have changed. It never blocks.
func (t *Teller) Changed(aor telephony.AoR) {
	if t.open.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sessions {
		if _, ok := s.watched[aor]; ok {
			s.tell(aor)
		}
	}
}

func (s *session) tell(aor telephony.AoR) {
	s.news[aor] = struct{}{}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

var errTooMany = errors.New("lamps: more extensions are watched than a node may have subscriptions")

// Answer answers another node. One that waits is answered when there is news, or after 15 s.
func (t *Teller) Answer(ctx context.Context, q Question) (Answer, error) {
	s, err := t.take(q)
	if s == nil || err != nil || !q.Wait {
		return Answer{Unknown: s == nil}, err
	}
	bounded, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	for {
		states, err := t.news(ctx, s)
		if len(states) > 0 || err != nil {
			return Answer{States: states}, err
		}
		select {
		case <-s.wake:
		case <-bounded.Done():
			return Answer{}, ctx.Err()
		}
	}
}

// take takes in what a question says, and returns its session; nil for one that is not known.
func (t *Teller) take(q Question) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for node, s := range t.sessions {
		if now.Sub(s.heard) > ownerFor {
			delete(t.sessions, node)
		}
	}
	if q.Begin {
		t.sessions[q.Node] = &session{name: q.Session, watched: make(map[telephony.AoR]account.ID),
			news: make(map[telephony.AoR]struct{}), wake: make(chan struct{}, 1)}
	}
	t.open.Store(int32(len(t.sessions)))
	s := t.sessions[q.Node]
	if s == nil || s.name != q.Session {
		return nil, nil
	}
	s.heard = now
	for _, aor := range q.Unwatch {
		delete(s.watched, aor)
		delete(s.news, aor)
	}
	for _, e := range q.Watch {
		if len(s.watched) >= maxWatched {
			return s, errTooMany
		}
		s.watched[e.AoR] = e.Account
		s.tell(e.AoR) // also that there is nothing: the other node may think otherwise
	}
	return s, nil
}

// news returns some of what is to be told.
func (t *Teller) news(ctx context.Context, s *session) (states []State, err error) {
	for size := 0; size < maxTold; {
		e, ok := t.next(s)
		if !ok {
			return states, nil
		}
		dialogs, err := t.dialogs.Dialogs(ctx, e.Account, e.AoR)
		if err != nil {
			return nil, err
		}
		state := State{e.AoR, dialogs[:min(len(dialogs), maxDialogs)]}
		text, err := json.Marshal(state)
		if err != nil {
			return nil, err
		}
		states, size = append(states, state), size+len(text)
	}
	return states, nil
}

// next takes out one extension of which there is news. What changes after that is news again.
func (t *Teller) next(s *session) (e Extension, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for aor := range s.news {
		delete(s.news, aor)
		return Extension{s.watched[aor], aor}, true
	}
	return e, false
}
