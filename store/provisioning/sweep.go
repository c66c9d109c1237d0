package provisioning

import (
	"context"

	rules "demarc/provisioning"
	"demarc/store"
)

// Sweep removes what nobody needs any more.
func (s *Store) Sweep(ctx context.Context, k rules.Kept) error {
	const entry = "account_id, user_id, at, seq, entry_id"
	for _, step := range []func() error{
		func() error {
			return s.db.Sweep(ctx, "ticket", "account_id, ticket_hash", `expires_at < $1`, store.Millis(k.Tickets))
		},
		func() error {
			return s.db.SweepAllBut(ctx, k.Entries, "timeline", "account_id, user_id", "at, seq, entry_id")
		},
		func() error {
			return s.db.Sweep(ctx, "timeline", entry, `at < $1 AND NOT EXISTS (SELECT 1 FROM integrated_user u
				WHERE u.account_id = t.account_id AND u.user_id = t.user_id)`, store.Millis(k.Gone))
		},
		func() error { return s.db.SweepAllBut(ctx, k.Runs, "sync_run", "account_id", "started_at, run_id") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
