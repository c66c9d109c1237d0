package registrar

import (
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// put replaces an AoR's bindings, which are as they were before, by those after.
func (s *shard) put(aor telephony.AoR, before, bindings []registration.Binding) {
	user := s.locations.Hash(aor)
	for i := range before {
		b := &before[i]
		if len(s.misses) > 0 && registration.IndexKey(bindings, b.Key) < 0 {
			delete(s.misses, b.ID()) // nobody asks for that one any more
		}
		if !b.Flow.Transport.Stream() || b.Node != s.r.node || sharesFlow(bindings, b) {
			continue
		}
		s.flows.leave(b.Flow.ID, user)
	}
	s.locations.Put(aor, bindings)
	for i := range bindings {
		b := &bindings[i]
		if !b.OwnsStream() || b.Node != s.r.node || sharesFlow(before, b) {
			continue
		}
		s.flows.join(b.Flow.ID, user)
	}
	s.schedule(aor, bindings)
}

// add puts a binding that was loaded beside the others of its AoR.
func (s *shard) add(b registration.Binding) {
	before := s.locations.Of(b.AoR)
	s.put(b.AoR, before, append(slices.Clone(before), b))
}

// schedule sees to it that an AoR's bindings are looked at in time.
func (s *shard) schedule(aor telephony.AoR, bindings []registration.Binding) {
	now, i := s.now(), 0
	for slot := range s.locations.Slots(aor) {
		b := &bindings[i]
		s.alarm.At(slot, b.EndsAt(s.r.node, now))
		s.scheduleProbe(slot, b, now)
		i++
	}
}

// sharesFlow reports whether one of the bindings has the same open flow.
func sharesFlow(bindings []registration.Binding, b *registration.Binding) bool {
	for i := range bindings {
		o := &bindings[i]
		if o.Flow.ID == b.Flow.ID && o.Node == b.Node && o.OwnsStream() {
			return true
		}
	}
	return false
}

// closeFlows marks the bindings of closed connections; the rest waits for the next turn.
func (s *shard) closeFlows(d *draft) {
	now := s.now()
	for len(s.closing) > 0 && len(d.changes) < maxBackground {
		flow := s.closing[0]
		s.closing = s.closing[1:]
		for _, user := range s.flows.of(flow) {
			for _, aor := range s.locations.Sharing(user) {
				s.closeFlow(d, flow, aor, now)
			}
		}
	}
}

func (s *shard) closeFlow(d *draft, flow uint64, aor telephony.AoR, now time.Time) {
	before := d.of(aor)
	bindings := slices.Clone(before)
	for i, b := range bindings {
		if b.Flow.ID == flow && b.OwnsStream() && b.Node == s.r.node {
			bindings[i].Reachable = false
			d.changes = append(d.changes, bindings[i].Change(bindings[i].Ended(), now))
		}
	}
	d.set(aor, before, bindings)
}

// sweep ends the bindings whose time has come.
func (s *shard) sweep(d *draft) {
	now := s.now()
	for _, slot := range s.alarm.Due(now, maxBackground) {
		due, ok := s.locations.In(slot)
		if !ok {
			continue
		}
		aor := due.AoR
		before := d.of(aor)
		live, changes := registration.Expire(before, s.r.node, s.r.present, now)
		if slices.ContainsFunc(live, func(b registration.Binding) bool { return !b.Expires.After(now) }) {
			s.queue.stale(aor) // another node's, that may have been refreshed
		}
		if len(changes) == 0 {
			s.alarm.At(slot, due.EndsAt(s.r.node, now)) // refreshed since the alarm was set, or another one's
			continue
		}
		d.set(aor, before, live)
		d.changes = append(d.changes, changes...)
	}
}
