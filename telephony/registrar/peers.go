package registrar

import (
	"context"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// Feed tells what the other nodes on the same store have done. Without one a Registrar believes to be alone.
type Feed interface {
	// Heads returns the number of the last change of every node.
	Heads(ctx context.Context) (map[string]int64, error)
	Since(ctx context.Context, node string, n int64, limit int) ([]telephony.RegistrationChange, error)
	// All returns the bindings of all nodes; Of those of the AoRs.
	All(ctx context.Context) ([]registration.Binding, error)
	Of(ctx context.Context, aors []telephony.AoR) ([]registration.Binding, error)
	// Wait returns when a node may have something to tell, or the context has ended.
	Wait(ctx context.Context)
	// Wake lets the Wait of all nodes return, soon.
	Wake()
}

const (
	feedPage  = 500
	feedPause = time.Second // after an error
)

// join takes the other nodes' bindings into memory, and begins where the feed stands.
func (r *Registrar) join(ctx context.Context) (heads map[string]int64, err error) {
	if r.feed == nil {
		return nil, nil
	}
	if heads, err = r.feed.Heads(ctx); err != nil { // before the bindings: what comes between is read twice, not never
		return nil, err
	}
	all, err := r.feed.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if s := r.shard(b.AoR); b.Node != r.node {
			s.add(b)
		}
	}
	return heads, nil
}

// follow reads the feed of the other nodes until the context ends.
func (r *Registrar) follow(ctx context.Context, heads map[string]int64) {
	for ctx.Err() == nil {
		if err := r.safely(func() error { return r.catchUp(ctx, heads) }); err != nil && ctx.Err() == nil {
			r.storeFailed("feed", err)
			select {
			case <-ctx.Done():
			case <-time.After(feedPause):
			}
			continue
		}
		r.feed.Wait(ctx)
	}
}

func (r *Registrar) catchUp(ctx context.Context, heads map[string]int64) error {
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	now, err := r.feed.Heads(bounded)
	cancel()
	if err != nil {
		return err
	}
	for node, head := range now {
		for node != r.node && heads[node] < head {
			bounded, cancel := context.WithTimeout(ctx, r.timeout)
			changes, err := r.feed.Since(bounded, node, heads[node], feedPage)
			cancel()
			if err != nil {
				return err
			}
			if len(changes) == 0 { // they were so old by that node's clock that they have been pruned
				heads[node] = head
				break
			}
			r.stale(changes)
			heads[node] = changes[len(changes)-1].N
		}
	}
	return nil
}

// stale lets each AoR's shard read what became of it.
func (r *Registrar) stale(changes []telephony.RegistrationChange) {
	for _, c := range changes {
		if c.Kind.OfBinding() {
			r.shard(c.AoR).queue.stale(c.AoR)
		}
	}
}

// reread takes from the store what other nodes made of the AoRs, before anything is decided about them.
func (s *shard) reread(ctx context.Context) {
	if s.r.feed == nil {
		return
	}
	if s.blind = s.r.storeAway(); s.blind {
		return
	}
	aors := s.queue.takeStale()
	for chunk := range slices.Chunk(aors, feedPage) {
		bounded, cancel := context.WithTimeout(ctx, s.r.timeout)
		stored, err := s.r.feed.Of(bounded, chunk)
		cancel()
		if err != nil {
			s.r.storeFailed("bindings of other nodes", err)
			s.queue.again(chunk)
			continue
		}
		s.mu.Lock()
		for _, aor := range chunk {
			before := s.locations.Of(aor)
			after := s.merge(before, stored, aor)
			s.put(aor, before, after)
			s.reassert(after, stored)
		}
		s.mu.Unlock()
		s.r.announceAoRs(chunk)
	}
}

// suspect has read again whose flows have closed: a phone that goes over to another node closes its old connection as soon as it is
// registered there, and what that node tells comes later. Nobody is to hear then that the phone is gone.
func (s *shard) suspect(closed []uint64) {
	if s.r.feed == nil {
		return
	}
	for _, flow := range closed {
		for _, user := range s.flows.of(flow) {
			for _, aor := range s.locations.Sharing(user) {
				s.queue.stale(aor)
			}
		}
	}
}

// merge keeps our own bindings as memory knows them, but for those that another node has taken over or removed, and
// everybody else's as stored.
func (s *shard) merge(memory, stored []registration.Binding, aor telephony.AoR) []registration.Binding {
	var merged []registration.Binding
	for _, b := range memory {
		if b.Node != s.r.node {
			continue
		}
		_, unsaved := s.unsaved[b.ID()]
		if unsaved && !b.Reachable && slices.ContainsFunc(stored, func(o registration.Binding) bool { return o.Node != b.Node && o.ID() == b.ID() }) {
			delete(s.unsaved, b.ID()) // it ended here while the store was away, and the phone is elsewhere since
			continue
		}
		if unsaved || slices.ContainsFunc(stored, func(o registration.Binding) bool {
			return o.Node == s.r.node && o.ID() == b.ID()
		}) {
			merged = append(merged, b)
		}
	}
	for _, b := range stored {
		if b.AoR == aor && b.Node != s.r.node && registration.IndexKey(merged, b.Key) < 0 {
			merged = append(merged, b)
		}
	}
	return merged
}

// Removal names a binding that is to go, if its node still has it.
type Removal struct {
	registration.Key
	Node string
}
