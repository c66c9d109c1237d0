package calls

import (
	"context"

	"demarc/store"
	"demarc/telephony"
)

// Holders returns the nodes that have calls which have not ended, and of each when it last said that it is there, in milliseconds by
// its own clock; 0 when it has stopped, or never did.
func (s *Store) Holders(ctx context.Context) (signs map[string]int64, err error) {
	err = s.db.Read(ctx, func(q store.Tx) error {
		signs = make(map[string]int64)
		node := ""
		for { // it looks for the next one each time: no database skips the calls of a node by itself
			err := q.QueryRow(ctx, `SELECT COALESCE(MIN(node), '') FROM call WHERE state <> 'ended' AND node > $1`, node).Scan(&node)
			if err != nil || node == "" {
				return err
			}
			if signs[node], err = sign(ctx, q, node); err != nil {
				return err
			}
		}
	})
	return signs, err
}

// sign is when a node last said that it is there.
func sign(ctx context.Context, q store.Tx, node string) (at int64, err error) {
	err = q.QueryRow(ctx, `SELECT COALESCE(MAX(seen_at), 0) FROM node WHERE node = $1`, node).Scan(&at)
	return at, err
}

// End ends up to limit calls of a node that has said nothing since its last sign, in one transaction, and returns them with the state that
// was kept of them, where it opens. They go into the next epoch, so that the node cannot write them any more. What another one is just
// ending is left to that.
func (s *Store) End(ctx context.Context, node string, last int64, limit int, end func(telephony.CallRecord) telephony.CallRecord) (
	ended []telephony.CallChange, err error) {
	query := `SELECT ` + columns + ` FROM call c WHERE c.node = $1 AND c.state <> 'ended' ORDER BY c.account_id, c.call_id LIMIT $2`
	if s.db.Dialect() == store.PostgreSQL {
		query += ` FOR UPDATE SKIP LOCKED`
	}
	var found []row
	err = s.db.Write(ctx, func(tx store.Tx) (err error) {
		ended = nil
		if at, err := sign(ctx, tx, node); err != nil || at != last {
			return err
		}
		found, err = readRows(ctx, tx, query, node, limit)
		if err != nil || len(found) == 0 {
			return err
		}
		changes := make([]telephony.CallChange, len(found))
		for i := range found {
			r := end(found[i].record)
			r.Epoch++
			changes[i].Record = r
		}
		w, err := s.rows(changes)
		if err != nil {
			return err
		}
		ended = changes
		_, err = w.write(ctx, tx, s.db.Dialect())
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range ended {
		ended[i].State = s.state(&found[i])
	}
	return ended, nil
}
