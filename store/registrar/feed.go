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
	err := s.db.Read(ctx, func(q store.Tx) (err error) {
		changes, err = readChanges(ctx, q, node, n, limit)
		return err
	})
	return changes, err
}

func readChanges(ctx context.Context, q store.Tx, node string, n int64, limit int) (changes []telephony.RegistrationChange, err error) {
	rows, err := q.Query(ctx, `SELECT n, account_id, at, kind, domain, username, instance, contact, user_agent,
		transport, remote, expires_at, code, text FROM registration_change
		WHERE node = $1 AND n > $2 ORDER BY n LIMIT $3`, node, n, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		c := telephony.RegistrationChange{Node: node}
		var at, expires int64
		if err := rows.Scan(&c.N, &c.Account, &at, &c.Kind, &c.AoR.Domain, &c.AoR.User, &c.Instance, &c.Contact,
			&c.UserAgent, &c.Transport, &c.Remote, &expires, &c.Code, &c.Text); err != nil {
			return nil, err
		}
		c.At, c.Expires = store.Time(at), store.Time(expires)
		changes = append(changes, c)
	}
	return changes, rows.Err()
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

const changeColumns = `account_id, at, kind, domain, username, instance, contact, user_agent, transport, remote,
	expires_at, code, text`

var changeTable = store.Table{
	Name: "registration_change",
	Columns: []string{"account_id", "at bigint", "kind", "domain", "username", "instance", "contact", "user_agent",
		"transport", "remote", "expires_at bigint", "code bigint", "text", "n bigint", "node"},
}

// changeRow is a row up to its number.
func changeRow(c telephony.RegistrationChange) []any {
	return []any{string(c.Account), store.Millis(c.At), string(c.Kind), c.AoR.Domain, c.AoR.User, c.Instance, c.Contact,
		c.UserAgent, string(c.Transport), c.Remote, store.Millis(c.Expires), int64(c.Code), c.Text}
}

// appendEach numbers the rows by the node's counter, whose row stays locked until the commit: numbers have no gaps and
// follow the order of commits.
func appendEach(ctx context.Context, tx store.Tx, node string, changes []telephony.RegistrationChange) error {
	if len(changes) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `INSERT INTO registration_node (node, last) VALUES ($1, $2)
		ON CONFLICT (node) DO UPDATE SET last = registration_node.last + excluded.last`, node, len(changes)); err != nil {
		return err
	}
	var last int64
	err := tx.QueryRow(ctx, `SELECT last FROM registration_node WHERE node = $1`, node).Scan(&last)
	if err != nil {
		return err
	}
	rows := make([][]any, len(changes))
	for i, c := range changes {
		rows[i] = append(changeRow(c), last-int64(len(changes))+int64(i)+1, node)
	}
	return changeTable.Write(ctx, tx, store.SQLite, rows)
}
