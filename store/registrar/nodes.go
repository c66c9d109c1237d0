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
	if store.NoRows(err) {
		return "", fmt.Errorf("the node %s has no internal listener: set telephony.internal_listen there", node)
	}
	return address, err
}
