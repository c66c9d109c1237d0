package registrar

import (
	"context"
	"time"

	"demarc/store"
	"demarc/telephony"
)

// Nodes returns the nodes that have told of anything.
func (s *Store) Nodes(ctx context.Context) ([]string, error) {
	var nodes []string
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT node FROM registration_node ORDER BY node`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var node string
			if err := rows.Scan(&node); err != nil {
				return err
			}
			nodes = append(nodes, node)
		}
		return rows.Err()
	})
	return nodes, err
}

// Heads returns the number of every node's last change.
func (s *Store) Heads(ctx context.Context) (map[string]int64, error) {
	heads := make(map[string]int64)
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT node, last FROM registration_node`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var node string
			var last int64
			if err := rows.Scan(&node, &last); err != nil {
				return err
			}
			heads[node] = last
		}
		return rows.Err()
	})
	return heads, away(err)
}

// Since returns up to limit changes of a node after number n, in order.
func (s *Store) Since(ctx context.Context, node string, n int64, limit int) ([]telephony.RegistrationChange, error) {
	var changes []telephony.RegistrationChange
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT n, account_id, at, kind, domain, username, instance, contact, user_agent,
			transport, remote, expires_at, code, text FROM registration_change
			WHERE node = $1 AND n > $2 ORDER BY n LIMIT $3`, node, n, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			c := telephony.RegistrationChange{Node: node}
			var at, expires int64
			if err := rows.Scan(&c.N, &c.Account, &at, &c.Kind, &c.AoR.Domain, &c.AoR.User, &c.Instance, &c.Contact,
				&c.UserAgent, &c.Transport, &c.Remote, &expires, &c.Code, &c.Text); err != nil {
				return err
			}
			c.At, c.Expires = store.Time(at), store.Time(expires)
			changes = append(changes, c)
		}
		return rows.Err()
	})
	return changes, err
}

// Prune deletes up to 500 changes from before the time and returns how many; numbers go on as they were. Whoever reads
// the feed must have read them by then.
func (s *Store) Prune(ctx context.Context, before time.Time) (int64, error) {
	const atOnce = 500
	var deleted int64
	err := s.db.Write(ctx, func(tx store.Tx) error {
		var err error
		deleted, err = tx.Exec(ctx, `DELETE FROM registration_change WHERE (node, n) IN
			(SELECT node, n FROM registration_change WHERE at < $1 ORDER BY node, n LIMIT $2)`, store.Millis(before), atOnce)
		return err
	})
	return deleted, err
}
