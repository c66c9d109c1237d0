package registrar

import (
	"context"

	"demarc/store"
	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

var _ registrar.Leases = (*Store)(nil)

// Signs returns when every node that has told of anything last said that it is there, in milliseconds by its own clock, or 0.
func (s *Store) Signs(ctx context.Context) (map[string]int64, error) {
	signs := make(map[string]int64)
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT r.node, COALESCE(n.seen_at, 0) FROM registration_node r
			LEFT JOIN node n ON n.node = r.node`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var node string
			var at int64
			if err := rows.Scan(&node, &at); err != nil {
				return err
			}
			signs[node] = at
		}
		return rows.Err()
	})
	return signs, away(err)
}

// Strand ends the connections of a dead node: those of its bindings that are reached by a stream of their own are marked as
// unreachable, and what is told of each gets this node's next numbers. Of several nodes at work each takes other ones.
func (s *Store) Strand(ctx context.Context, dead, by string, limit int, told func(registration.Binding) telephony.RegistrationChange) (
	aors []telephony.AoR, err error) {
	if s.db.Dialect() != store.PostgreSQL {
		aors, err = s.strand(ctx, dead, limit, told, func(tx store.Tx, changes []telephony.RegistrationChange) error {
			return appendEach(ctx, tx, by, changes)
		})
		return aors, away(err)
	}
	err = s.numbered(ctx, by, nil, func(head int64, _ []telephony.RegistrationChange) (int, error) {
		aors, err = s.strand(ctx, dead, limit, told, func(tx store.Tx, changes []telephony.RegistrationChange) error {
			all := appendAll(by, head, changes)
			_, err := tx.Exec(ctx, all.Query, all.Args...)
			return err
		})
		return len(aors), err
	})
	return aors, away(err)
}

func (s *Store) strand(ctx context.Context, dead string, limit int, told func(registration.Binding) telephony.RegistrationChange,
	tell func(store.Tx, []telephony.RegistrationChange) error) (aors []telephony.AoR, err error) {
	query := selectBindings + `WHERE node = $1 AND reachable AND path = '' AND transport <> 'udp'
		ORDER BY account_id, domain, username, binding_key LIMIT $2`
	if s.db.Dialect() == store.PostgreSQL {
		query += ` FOR UPDATE SKIP LOCKED`
	}
	err = s.db.Write(ctx, func(tx store.Tx) error {
		aors = nil
		lost, err := readBindings(ctx, tx, query, dead, limit)
		if err != nil || len(lost) == 0 {
			return err
		}
		keys, changes := make([][]any, len(lost)), make([]telephony.RegistrationChange, len(lost))
		for i, b := range lost {
			b.Reachable = false
			keys[i] = []any{string(b.Account), b.AoR.Domain, b.AoR.User, b.Key}
			changes[i] = told(b)
			aors = append(aors, b.AoR)
		}
		if err := s.part(ctx, tx, keys); err != nil {
			return err
		}
		return tell(tx, changes)
	})
	return aors, err
}

// part marks bindings as unreachable.
func (s *Store) part(ctx context.Context, tx store.Tx, keys [][]any) error {
	if s.db.Dialect() != store.PostgreSQL {
		return store.Loop(ctx, tx, `UPDATE binding SET reachable = FALSE WHERE account_id = $1 AND domain = $2 AND username = $3
			AND binding_key = $4`, keys)
	}
	_, err := tx.Exec(ctx, `UPDATE binding SET reachable = FALSE WHERE (account_id, domain, username, binding_key) IN
		(SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]))`, store.Column[string](keys, 0),
		store.Column[string](keys, 1), store.Column[string](keys, 2), store.Column[string](keys, 3))
	return err
}
