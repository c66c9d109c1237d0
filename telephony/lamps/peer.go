package lamps

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"demarc/telephony"
)

// peer is another node that is followed.
type peer struct {
	f     *Follower
	node  string
	wake  chan struct{} // what is watched has changed
	leave context.CancelFunc

	mu     sync.Mutex
	failed time.Time // since when it answers nothing; zero while it does
	lost   bool      // that is too long
}

// follow keeps one session with the node after the other, until the node has gone.
func (p *peer) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if !p.idle(ctx) {
			return
		}
		err := p.session(ctx)
		if err == nil {
			continue
		}
		p.judge(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(p.f.Beat):
		}
	}
}

// idle waits until something is watched. It reports false when the node has gone.
func (p *peer) idle(ctx context.Context) bool {
	for {
		p.f.mu.Lock()
		n := len(p.f.want)
		p.f.mu.Unlock()
		if n > 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-p.wake:
		}
	}
}

func (p *peer) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed, p.lost = time.Time{}, false
}

// judge puts the node's lamps out when it has answered nothing for too long.
func (p *peer) judge(ctx context.Context, err error) {
	p.mu.Lock()
	if p.failed.IsZero() {
		p.failed = time.Now()
	}
	due := !p.lost && time.Since(p.failed) >= p.f.Lost && ctx.Err() == nil
	p.lost = p.lost || due
	p.mu.Unlock()
	if due {
		p.f.forget(p.node)
		p.f.lost.Add(1)
		p.f.Log.Warn("a node does not tell who is in a call there: those lamps stay dark", "node", p.node, "error", err)
	}
}

var errBegin = errors.New("the node has ended the session")

// session names what is watched, and hears of it until nothing is watched any more, or something fails.
func (p *peer) session(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := &naming{peer: p, session: rand.Text(), named: make(map[telephony.AoR]watch)}
	if err := s.name(ctx); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- s.keep(ctx) }()
	go func() { failed <- s.listen(ctx) }()
	err := <-failed
	end()
	<-failed
	return err
}

// naming is one session.
type naming struct {
	*peer
	session string
	begun   bool
	named   map[telephony.AoR]watch // what the node knows to be watched
}

// keep names what is watched whenever that changes, as long as there is any.
func (s *naming) keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		}
		if err := s.name(ctx); err != nil || len(s.named) == 0 {
			return err
		}
	}
}

// name tells the node what has changed of what is watched, in as many questions as that takes.
func (s *naming) name(ctx context.Context) error {
	for more := true; more; {
		var q Question
		var named map[telephony.AoR]watch
		if q, named, more = s.difference(); s.begun && len(q.Watch)+len(q.Unwatch) == 0 {
			return nil
		}
		q.Begin = !s.begun
		if _, err := s.ask(ctx, q); err != nil {
			return err
		}
		s.begun = true
		maps.Copy(s.named, named)
		for _, aor := range q.Unwatch {
			delete(s.named, aor)
		}
	}
	return nil
}

// difference returns some of what the node does not know yet, the watches among it, and whether there is more.
func (s *naming) difference() (q Question, named map[telephony.AoR]watch, more bool) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	named = make(map[telephony.AoR]watch)
	full := func() bool { return len(q.Watch)+len(q.Unwatch) == maxNamed }
	for aor := range s.named {
		if _, ok := s.f.want[aor]; ok {
			continue
		}
		if full() {
			return q, named, true
		}
		q.Unwatch = append(q.Unwatch, aor)
	}
	for aor, w := range s.f.want {
		if s.named[aor] == w {
			continue
		}
		if full() {
			return q, named, true
		}
		q.Watch, named[aor] = append(q.Watch, Extension{w.account, aor}), w
	}
	return q, named, false
}

// listen waits for news again and again.
func (s *naming) listen(ctx context.Context) error {
	for {
		answer, err := s.ask(ctx, Question{Wait: true})
		if err != nil {
			return err
		}
		s.f.learn(s.node, answer.States)
	}
}

func (s *naming) ask(ctx context.Context, q Question) (answer Answer, err error) {
	q.Node, q.Session = s.f.Node, s.session
	question, err := json.Marshal(q)
	if err != nil {
		return answer, err
	}
	text, err := s.f.Ask(ctx, s.node, question)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, err
	}
	if answer.Unknown {
		return answer, errBegin
	}
	s.answered()
	return answer, nil
}
