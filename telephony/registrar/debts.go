package registrar

import (
	"context"
	"slices"

	"demarc/telephony/registration"
)

// maxDebt is how many rows of what the store has missed go into one save. After a long absence all of it at once would take longer than
// a save may, again and again.
const maxDebt = 1000

// payDebts saves what the store has missed in pieces, until the rest of it may go with a turn's own save. When that fails the rest waits.
func (s *shard) payDebts(ctx context.Context) {
	for len(s.backlog)+len(s.unsaved) > maxDebt {
		piece, keys := s.debt()
		if s.submit(ctx, piece) != nil {
			return
		}
		s.backlog = s.backlog[len(piece.Changes):]
		for _, k := range keys {
			delete(s.unsaved, k)
		}
	}
}

// debt returns the oldest changes that the store has missed, and some of the bindings with their keys.
func (s *shard) debt() (piece Batch, keys []registration.Key) {
	piece = Batch{Node: s.r.node, Changes: slices.Clone(s.backlog[:min(len(s.backlog), maxDebt/2)])}
	for i := range piece.Changes {
		piece.Changes[i].Node = piece.Node
	}
	for k := range s.unsaved {
		if len(keys) == maxDebt/2 {
			break
		}
		keys = append(keys, k)
		piece.add(k, s.locations.Of(k.AoR))
	}
	return piece, keys
}
