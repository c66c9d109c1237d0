package registrar

import (
	"context"
	"errors"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// Volatile bindings end with their node, so that nobody has to wait for the store: comings and goings are true at once and
// are saved a moment later, many together. What came and went within that moment leaves its changes and no row.

// behind reports whether what is decided now is saved later.
func (s *shard) behind() bool { return s.r.volatile && !s.r.storeAway() }

// note remembers which bindings of an AoR the store does not know as they are going to be.
func (s *shard) note(before, after []registration.Binding) {
	for i := range after {
		if old := registration.IndexKey(before, after[i].Key); old < 0 || !refreshes(&after[i], &before[old]) {
			s.unsaved[after[i].ID()] = struct{}{}
		}
	}
	for i := range before {
		if registration.IndexKey(after, before[i].Key) < 0 {
			s.unsaved[before[i].ID()] = struct{}{}
		}
	}
}

// owe adds changes to those that are to be saved.
func (s *shard) owe(changes []telephony.RegistrationChange) {
	s.backlog = append(s.backlog, changes...)
	if len(s.backlog) >= maxBackground {
		s.queue.signal()
	}
}

// saveBehind saves what has gathered, when it is time.
func (s *shard) saveBehind(ctx context.Context, ended bool) {
	if !s.behind() || len(s.backlog)+len(s.unsaved) == 0 {
		return
	}
	if !ended && len(s.backlog) < maxBackground && time.Since(s.saved) < s.r.tick {
		return
	}
	s.saved = time.Now()
	s.payDebts(ctx)
	if err := s.save(ctx, s.newDraft()); err != nil && !errors.Is(err, ErrStoreAway) {
		s.saveApart(ctx)
	}
}

// saveApart saves each AoR's part alone: what cannot be stored costs its own AoR.
func (s *shard) saveApart(ctx context.Context) {
	type part struct {
		changes []telephony.RegistrationChange
		keys    map[registration.Key]struct{}
	}
	parts := make(map[telephony.AoR]part)
	for _, c := range s.backlog {
		p := parts[c.AoR]
		p.changes = append(p.changes, c)
		parts[c.AoR] = p
	}
	for k := range s.unsaved {
		p := parts[k.AoR]
		if p.keys == nil {
			p.keys = make(map[registration.Key]struct{})
		}
		p.keys[k] = struct{}{}
		parts[k.AoR] = p
	}
	var left part
	left.keys = make(map[registration.Key]struct{})
	for _, p := range parts {
		s.backlog, s.unsaved = p.changes, p.keys
		switch err := s.save(ctx, s.newDraft()); {
		case errors.Is(err, ErrStoreAway):
			left.changes = append(left.changes, p.changes...)
			for k := range p.keys {
				left.keys[k] = struct{}{}
			}
		case err != nil:
			s.giveUp(s.newDraft(), err)
		}
	}
	s.backlog, s.unsaved = left.changes, left.keys
}
