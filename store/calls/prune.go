package calls

import (
	"context"
	"fmt"
	"time"

	"demarc/store"
	"demarc/telephony"
)

// Prune deletes calls that ended, and habits that were seen last, before a time, in milliseconds since 1970.
func (s *Store) Prune(ctx context.Context, before int64) error {
	accounts, err := s.accounts(ctx)
	if err != nil {
		return fmt.Errorf("sweep call: %w", err)
	}
	// What ended by then began before it, and stands at the front of its account.
	first := string(telephony.FirstCallID(time.UnixMilli(before)))
	const old = `t.account_id = $2 AND t.call_id < $3 AND `
	for _, id := range accounts {
		err := s.db.Sweep(ctx, "call_party", "account_id, aor, call_id", old+`EXISTS (SELECT 1 FROM call c
			WHERE c.account_id = t.account_id AND c.call_id = t.call_id AND c.state = 'ended' AND c.ended_at < $1)`, before, id, first)
		if err != nil {
			return err
		}
		err = s.db.Sweep(ctx, "call", "account_id, call_id", old+`t.state = 'ended' AND t.ended_at < $1`, before, id, first)
		if err != nil {
			return err
		}
	}
	return s.db.Sweep(ctx, "media_habit", "account_id, aor, device", `t.seen_at < $1`, before)
}

// accounts returns those that have calls. It looks for the next one each time: neither database skips the rows of an account
// by itself.
func (s *Store) accounts(ctx context.Context) (all []string, err error) {
	err = s.db.Read(ctx, func(q store.Tx) error {
		all = nil
		last := ""
		for {
			err := q.QueryRow(ctx, `SELECT COALESCE(MIN(account_id), '') FROM call WHERE account_id > $1`, last).Scan(&last)
			if err != nil || last == "" {
				return err
			}
			all = append(all, last)
		}
	})
	return all, err
}
