package registrar

import (
	"slices"
	"time"

	"demarc/telephony/registration"
)

// serveFromMemory answers while the store is away: a refresh within what is committed, nothing new. What memory learns
// is saved when the store is back.
func (s *shard) serveFromMemory(background *draft, jobs []*job) {
	s.keepUnsaved(background)
	for _, j := range jobs {
		a := s.fromMemory(j)
		s.answer(a.job, a.reply, a.outcome)
	}
}

func (s *shard) fromMemory(j *job) (a answer) {
	defer func() {
		if fault := recover(); fault != nil {
			s.r.panicked(fault)
			a = answer{j, registration.Reply{Status: 500}, registration.Failed}
		}
	}()
	before := s.locations.Of(j.req.To)
	now := s.now()
	decision, ok := s.consider(s.state(before, j), j, now)
	switch {
	case !ok:
		return answer{j, j.who.Reply, j.who.Outcome}
	case decision.Reply.Status != 200:
		d := s.newDraft()
		s.refuseBy(d, j, &decision)
		s.keepUnsaved(d)
		return answer{j, decision.Reply, decision.Outcome}
	case decision.Outcome == registration.Fetched, decision.Outcome == registration.Retransmission:
		return answer{j, decision.Reply, decision.Outcome}
	}
	if !withinCommitted(before, decision.Bindings, now) {
		return answer{j, registration.Unavailable(), registration.StoreAway}
	}
	d := s.newDraft()
	d.set(j.req.To, before, decision.Bindings)
	d.changes = decision.Changes
	s.keepUnsaved(d)
	shorten(decision.Reply.Bindings, decision.Bindings, now)
	return answer{j, decision.Reply, registration.FromMemory}
}

// withinCommitted gives every binding back its committed end, and reports whether none is new, gone or about to end.
func withinCommitted(before, after []registration.Binding, now time.Time) bool {
	if len(before) != len(after) {
		return false
	}
	for i := range after {
		old := registration.IndexKey(before, after[i].Key)
		if old < 0 || before[old].Expires.Sub(now) < time.Second {
			return false
		}
		after[i].Expires = before[old].Expires
	}
	return true
}

func shorten(replies []registration.ReplyBinding, bindings []registration.Binding, now time.Time) {
	for i, r := range replies {
		at := slices.IndexFunc(bindings, func(b registration.Binding) bool {
			return b.Contact == r.URI && b.Instance == r.Instance && b.RegID == r.RegID
		})
		if at >= 0 {
			replies[i].Expires = bindings[at].Remaining(now)
		}
	}
}

// keepUnsaved applies a draft to memory and remembers what the store has missed. What other nodes have of the same users is theirs
// to save: it may have changed since it was read.
func (s *shard) keepUnsaved(d *draft) {
	for _, of := range d.bindings {
		for _, bindings := range [...][]registration.Binding{of.before, of.after} {
			for i := range bindings {
				if b := &bindings[i]; b.Node == s.r.node {
					s.unsaved[b.ID()] = struct{}{}
				}
			}
		}
	}
	s.backlog = append(s.backlog, d.changes...)
	if over := len(s.backlog) - maxBacklog; over > 0 {
		s.backlog = slices.Clone(s.backlog[over:])
		s.r.tally.dropped.Add(uint64(over))
	}
	s.apply(d)
	s.r.announce(d.changes)
}
