package registrar

import (
	"context"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// Leases tells which nodes on the same store are there, and ends the connections of those that are not: a node that is killed
// tells nobody, and its connections cannot have outlived it.
type Leases interface {
	// Signs returns of every node that has told of anything the time by its own clock when it last said that it is there. It is 0
	// for one that has stopped, or has never said so.
	Signs(ctx context.Context) (map[string]int64, error)
	// Strand marks up to limit bindings of a node whose connection ended with it as unreachable, and appends what is told of each to
	// the feed of this one. Bindings that another node is just marking are left to that. It returns whose they were.
	Strand(ctx context.Context, dead, by string, limit int, told func(registration.Binding) telephony.RegistrationChange) ([]telephony.AoR, error)
}

const (
	// leaseTime is how long a node may be silent before its connections count as gone. Nodes say every LeaseBeat that they are there.
	leaseTime = 20 * time.Second
	// LeaseBeat is how often a node has to say that it is there.
	LeaseBeat = 5 * time.Second
	leaseLook = time.Second
)

// leases is what a node has seen of the others' signs. Their clocks are not compared with its own: a node is there while its sign
// changes. While the store cannot be read nobody's time runs.
type leases struct {
	r    *Registrar
	seen map[string]sign
}

type sign struct {
	at    int64
	since time.Time
	over  bool // its connections have been ended
}

// watchLeases looks after the other nodes until the context ends.
func (r *Registrar) watchLeases(ctx context.Context) {
	l := leases{r: r, seen: make(map[string]sign)}
	look := time.NewTicker(min(leaseLook, 4*r.tick))
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if err := r.safely(func() error { return l.look(ctx) }); err != nil && ctx.Err() == nil {
			clear(l.seen)
			r.storeFailed("leases of other nodes", err)
		}
	}
}

func (l *leases) look(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, l.r.timeout)
	defer cancel()
	signs, err := l.r.leases.Signs(bounded)
	if err != nil {
		return err
	}
	now := l.r.now()
	for node, at := range signs {
		before, known := l.seen[node]
		switch {
		case node == l.r.node:
		case !known || before.at != at:
			l.seen[node] = sign{at: at, since: now}
		case !before.over && now.Sub(before.since) >= leaseTime:
			if err := l.end(ctx, node); err != nil {
				return err
			}
			before.over = true
			l.seen[node] = before
		}
	}
	l.publish()
	return nil
}

// publish says which of the others are there. Those whose sign is 0 have stopped.
func (l *leases) publish() {
	there := make(map[string]bool)
	for node, s := range l.seen {
		there[node] = s.at != 0 && !s.over
	}
	l.r.there.Store(&there)
}

// isPresent reports whether another node is there. All are until somebody has looked.
func (r *Registrar) isPresent(node string) bool {
	there := r.there.Load()
	return there == nil || (*there)[node]
}

// Others returns the other nodes that are there, as far as this one has looked.
func (r *Registrar) Others() (nodes []string) {
	if there := r.there.Load(); there != nil {
		for node, is := range *there {
			if is {
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}

// end ends the connections of a node, in transactions of bounded size. All nodes that are left do so at the same time: none of
// them is needed.
func (l *leases) end(ctx context.Context, node string) error {
	ended := 0
	for {
		bounded, cancel := context.WithTimeout(ctx, l.r.timeout)
		aors, err := l.r.leases.Strand(bounded, node, l.r.node, maxBackground, l.told)
		cancel()
		if err != nil {
			return err
		}
		if ended += len(aors); len(aors) == 0 {
			break
		}
		for _, aor := range aors {
			l.r.shard(aor).queue.stale(aor)
		}
		l.r.feed.Wake()
	}
	if ended > 0 {
		l.r.tally.stranded.Add(uint64(ended))
		l.r.log.Warn("a node is silent, and the connections of its phones count as closed", "node", node, "silent", leaseTime,
			"phones", ended)
	}
	return nil
}

// told is the change that tells of a binding which is not reachable any more, because its node is gone.
func (l *leases) told(b registration.Binding) telephony.RegistrationChange {
	return stranded(&b, l.r.now())
}

func stranded(b *registration.Binding, at time.Time) telephony.RegistrationChange {
	c := b.Change(b.Ended(), at)
	c.Text = "its connection ended with the node " + b.Node + ", which stopped or failed"
	return c
}

// reassert tells and saves again that a phone of this node is connected, after others took the node for dead: it was cut off from
// the store, or stood still, and its connections have outlived that.
func (s *shard) reassert(memory, stored []registration.Binding) {
	for i := range memory {
		b := &memory[i]
		if at := registration.IndexKey(stored, b.Key); at < 0 || b.Node != s.r.node || !b.OwnsStream() || stored[at].Node != b.Node ||
			stored[at].Reachable || stored[at].Flow.ID != b.Flow.ID {
			continue
		}
		s.unsaved[b.ID()] = struct{}{}
		s.queue.tell(b.Change(telephony.BindingRegistered, s.now()))
	}
}
