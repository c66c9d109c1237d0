package registrar

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// Prober sends a phone an OPTIONS over its flow and returns an error when no answer came, whatever the answer says.
type Prober interface {
	Probe(ctx context.Context, b registration.Binding) error
}

const (
	probeTimeout = 5 * time.Second
	maxMisses    = 3     // probes without an answer, one after the other, before a phone counts as unreachable
	maxProbes    = 4096  // under way at the same time
	maxProbed    = 1_000 // bindings that one turn probes
)

// probed is what came of one probe.
type probed struct {
	id   registration.Key
	flow telephony.Flow
	err  error
	// failed says that the way is known to have ended, and which refresh of the binding it belonged to; else it is zero.
	failed time.Time
}

// scheduleProbe makes a binding due for its first probe, at a random moment so that a restart's phones spread out.
func (s *shard) scheduleProbe(slot uint32, b *registration.Binding, now time.Time) {
	if s.r.prober == nil || !s.keeps(b) {
		return
	}
	every := s.r.probeEvery
	s.probes.At(slot, now.Add(every/2+rand.N(every/2)))
}

// keeps reports whether this node has to hold the way to the phone open, or to see whether it still is.
func (s *shard) keeps(b *registration.Binding) bool {
	return b.Node == s.r.node && b.NeedsProbes()
}

// probe sends what is due. The probes report to the queue.
func (s *shard) probe(ctx context.Context) {
	if s.r.prober == nil {
		return
	}
	now := s.now()
	for _, slot := range s.probes.Due(now, maxProbed) {
		if b, ok := s.locations.In(slot); ok && s.keeps(&b) {
			s.probeOne(ctx, b)
			s.probes.At(slot, now.Add(s.r.probeEvery))
		}
	}
}

func (s *shard) probeOne(ctx context.Context, b registration.Binding) {
	if s.r.probing.Add(1) > maxProbes {
		s.r.probing.Add(-1)
		return // the next round will do
	}
	s.r.probers.Go(func() {
		defer s.r.probing.Add(-1)
		defer s.r.recovered() // nobody has missed anything then
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		s.queue.probed(probed{id: b.ID(), flow: b.Flow, err: s.r.prober.Probe(ctx, b)})
	})
}

// judge counts what the probes found. A phone that misses several is unreachable until it registers again.
func (s *shard) judge(d *draft) {
	now := s.now()
	for _, p := range s.queue.takeProbed() {
		before := d.of(p.id.AoR)
		bindings := slices.Clone(before)
		i := registration.IndexKey(bindings, p.id.Key)
		failed := i >= 0 && !p.failed.IsZero() && p.failed.Equal(bindings[i].RefreshedAt)
		if i < 0 || bindings[i].Flow.Remote != p.flow.Remote || bindings[i].Flow.Local != p.flow.Local || !bindings[i].Reachable || p.err == nil && !failed {
			delete(s.misses, p.id)
			continue
		}
		if s.misses[p.id]++; s.misses[p.id] < maxMisses && !failed {
			continue
		}
		delete(s.misses, p.id)
		bindings[i].Reachable = false
		kind := telephony.BindingUnreachable
		if failed {
			kind = bindings[i].Ended()
		} else if bindings[i].Asleep() {
			kind = telephony.BindingAsleep
		}
		d.set(p.id.AoR, before, bindings)
		d.changes = append(d.changes, bindings[i].Change(kind, now))
	}
}
