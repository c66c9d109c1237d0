package registrar

import (
	"context"
	"time"

	"demarc/store"
	"demarc/telephony/registrar"
)

// Peers is the Store as a registrar reads what other nodes have done.
type Peers struct {
	*Store
	hint *store.Hint
	news chan struct{}
	poll time.Duration
}

var _ registrar.Feed = (*Peers)(nil)

// pollFeed is how often the feed is read without a hint.
const pollFeed = time.Second

// NewPeers returns a feed; Run carries its hints.
func NewPeers(s *Store) *Peers {
	return &Peers{Store: s, hint: store.NewHint(s.db, "demarc_registration"), news: make(chan struct{}, 1), poll: pollFeed}
}

// Run carries hints until the context ends.
func (p *Peers) Run(ctx context.Context) error {
	p.hint.Run(ctx, func() {
		select {
		case p.news <- struct{}{}:
		default:
		}
	})
	return nil
}

// Wake tells the other nodes that there is something to read.
func (p *Peers) Wake() { p.hint.Wake() }

// Wait returns at a hint, after a while, or when the context has ended.
func (p *Peers) Wait(ctx context.Context) {
	pause := time.NewTimer(p.poll)
	defer pause.Stop()
	select {
	case <-ctx.Done():
	case <-pause.C:
	case <-p.news:
	}
}
