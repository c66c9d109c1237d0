package registrar

import (
	"context"
	"fmt"
	"time"

	"demarc/store"
)

// Announce says where the node can be reached by the others.
func (s *Store) Announce(ctx context.Context, node, address string, now time.Time) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO node (node, address, seen_at) VALUES ($1, $2, $3)
			ON CONFLICT (node) DO UPDATE SET address = excluded.address, seen_at = excluded.seen_at`,
			node, address, store.Millis(now))
		return err
	})
}

// Address returns where a node is reached.
func (s *Store) Address(ctx context.Context, node string) (string, error) {
	var address string
	err := s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT address FROM node WHERE node = $1`, node).Scan(&address)
	})
	if store.NoRows(err) || err == nil && address == "" {
		return "", fmt.Errorf("the node %s has no internal listener: set telephony.internal_listen there", node)
	}
	return address, err
}

// Withdraw says that the node stops.
func (s *Store) Withdraw(ctx context.Context, node string) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM node WHERE node = $1`, node)
		return err
	})
}

// Sign returns when a node last said that it is there, in milliseconds by its own clock; 0 when it has stopped, or never did.
func (s *Store) Sign(ctx context.Context, node string) (at int64, err error) {
	err = s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT COALESCE(MAX(seen_at), 0) FROM node WHERE node = $1`, node).Scan(&at)
	})
	return at, err
}

// Node is a node that holds phones.
type Node struct {
	Name   string
	SeenAt time.Time // when it last said that it is there
}

// Present returns the nodes that were there after a time, by name.
func (s *Store) Present(ctx context.Context, after time.Time) ([]Node, error) {
	var all []Node
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT node, seen_at FROM node WHERE seen_at > $1 ORDER BY node`, store.Millis(after))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n Node
			var seen int64
			if err := rows.Scan(&n.Name, &seen); err != nil {
				return err
			}
			n.SeenAt = time.UnixMilli(seen)
			all = append(all, n)
		}
		return rows.Err()
	})
	return all, err
}
