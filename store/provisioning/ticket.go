package provisioning

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
	rules "demarc/provisioning"
	"demarc/store"
)

// Issue saves a ticket.
func (s *Store) Issue(ctx context.Context, t rules.Ticket, stale time.Time, most int, e timeline.Entry) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		// The user's row is locked: nobody removes them meanwhile, and those who count tickets see each other.
		users, err := tx.Exec(ctx, `UPDATE integrated_user SET version = version + 1 WHERE account_id = $1 AND user_id = $2`,
			string(t.Account), string(t.User))
		if err != nil {
			return err
		}
		if users == 0 {
			return fmt.Errorf("user %w", rules.ErrNotFound)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ticket WHERE account_id = $1 AND user_id = $2 AND expires_at < $3`,
			string(t.Account), string(t.User), store.Millis(stale)); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM ticket WHERE account_id = $1 AND user_id = $2`,
			string(t.Account), string(t.User)).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return fmt.Errorf("%w: %d codes and links were made for this user within a week; use one of them, or wait",
				rules.ErrConflict, n)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO ticket
			(account_id, ticket_hash, purpose, user_id, kind, app, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			string(t.Account), t.Hash, t.Purpose, string(t.User), string(t.Kind), t.App,
			store.Millis(t.ExpiresAt)); err != nil {
			return err
		}
		return store.WriteTimeline(ctx, tx, e)
	})
}

// Redeem burns a ticket: the delete decides who of many callers gets it, and is undone when the rule fails.
func (s *Store) Redeem(ctx context.Context, purpose, hash string, rule func(rules.Ticket, *rules.Record) error) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		t := rules.Ticket{Hash: hash, Purpose: purpose}
		var expires int64
		err := tx.QueryRow(ctx, `SELECT account_id, user_id, kind, app, expires_at FROM ticket
			WHERE ticket_hash = $1 AND purpose = $2`, hash, purpose).Scan(&t.Account, &t.User, &t.Kind, &t.App, &expires)
		if store.NoRows(err) {
			return rules.ErrExpired
		}
		if err != nil {
			return err
		}
		t.ExpiresAt = store.Time(expires)
		n, err := tx.Exec(ctx, `DELETE FROM ticket WHERE account_id = $1 AND ticket_hash = $2`, string(t.Account), hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return rules.ErrExpired
		}
		ids := []rules.UserID{t.User}
		if err := lock(ctx, tx, t.Account, ids); err != nil {
			return err
		}
		records, err := s.load(ctx, tx, t.Account, ids, parts{secrets: true, devices: true})
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return rules.ErrExpired
		}
		if err := rule(t, records[0]); err != nil {
			return err
		}
		return s.write(ctx, tx, records)
	})
}

// Lapse runs a rule over the records of devices whose reported registration is over, an account at a time.
func (s *Store) Lapse(ctx context.Context, now time.Time, limit int, rule func(*rules.Record)) (int, error) {
	found := 0
	err := s.db.Read(ctx, func(q store.Tx) (err error) {
		_, found, err = lapsed(ctx, q, now, 1)
		return err
	})
	if err != nil || found == 0 {
		return 0, err // the usual turn: it holds up no writer
	}
	err = s.db.Write(ctx, func(tx store.Tx) error {
		due, n, err := lapsed(ctx, tx, now, limit)
		if err != nil {
			return err
		}
		found = n
		for _, acc := range slices.Sorted(maps.Keys(due)) {
			if err := lock(ctx, tx, acc, due[acc]); err != nil {
				return err
			}
			records, err := s.load(ctx, tx, acc, due[acc], parts{devices: true})
			if err != nil {
				return err
			}
			for _, r := range records {
				rule(r) // it looks again at what is due: another process may have been faster
			}
			if err := s.write(ctx, tx, records); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// lapsed finds the owners of devices that are due, by account and id, and how many devices they are.
func lapsed(ctx context.Context, q store.Tx, now time.Time, limit int) (map[account.ID][]rules.UserID, int, error) {
	rows, err := q.Query(ctx, `SELECT account_id, user_id FROM device
		WHERE reported_until > 0 AND reported_until <= $1 ORDER BY reported_until, account_id LIMIT $2`,
		store.Millis(now), limit)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	due, n := map[account.ID][]rules.UserID{}, 0
	for ; rows.Next(); n++ {
		var acc account.ID
		var id rules.UserID
		if err := rows.Scan(&acc, &id); err != nil {
			return nil, 0, err
		}
		due[acc] = append(due[acc], id)
	}
	for acc, ids := range due {
		slices.Sort(ids)
		due[acc] = slices.Compact(ids)
	}
	return due, n, rows.Err()
}
