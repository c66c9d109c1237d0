package provisioning

import (
	"context"
	"database/sql"
	"time"

	"demarc/internal/account"
	rules "demarc/provisioning"
	"demarc/store"
)

// BeginSync takes the account's lease and records the run.
func (s *Store) BeginSync(ctx context.Context, run rules.SyncRun, ttl time.Duration) (rules.SyncLease, error) {
	l := rules.SyncLease{Account: run.Account, Run: run.ID}
	err := s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO sync_lease (account_id, run_id, lease_epoch, lease_until)
			VALUES ($1, '', 0, 0) ON CONFLICT (account_id) DO NOTHING`, string(run.Account)); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE sync_lease SET run_id = $2, lease_epoch = lease_epoch + 1,
			lease_until = `+s.clock()+` + $3 WHERE account_id = $1 AND lease_until < `+s.clock(),
			string(run.Account), run.ID, ttl.Milliseconds())
		if err != nil {
			return err
		}
		if n == 0 {
			return rules.ErrBusy
		}
		if err := tx.QueryRow(ctx, `SELECT lease_epoch FROM sync_lease WHERE account_id = $1`, string(run.Account)).
			Scan(&l.Epoch); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE sync_run SET ended_at = $2, error = $3 WHERE account_id = $1 AND ended_at = 0`,
			string(run.Account), store.Millis(run.StartedAt),
			"interrupted: demarc was stopped; whole pages were kept and the next run starts over"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO sync_run
			(account_id, run_id, started_at, ended_at, looked, changed, pending, failed, error)
			VALUES ($1, $2, $3, 0, 0, 0, 0, 0, '')`, string(run.Account), run.ID, store.Millis(run.StartedAt))
		return err
	})
	return l, err
}

// RenewSync keeps the lease for longer.
func (s *Store) RenewSync(ctx context.Context, l rules.SyncLease, ttl time.Duration) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		return fenced(tx.Exec(ctx, `UPDATE sync_lease SET lease_until = `+s.clock()+` + $3
			WHERE account_id = $1 AND lease_epoch = $2`, string(l.Account), l.Epoch, ttl.Milliseconds()))
	})
}

// fenced turns "no row" of a write under a lease into ErrStale.
func fenced(n int64, err error) error {
	if err == nil && n == 0 {
		return rules.ErrStale
	}
	return err
}

// Snapshot returns all records of an account without devices and secrets.
func (s *Store) Snapshot(ctx context.Context, acc account.ID) ([]rules.Record, error) {
	var list []rules.Record
	err := s.db.Read(ctx, func(q store.Tx) error {
		records, err := scanUsers(ctx, q, acc, `ORDER BY user_id`)
		if err != nil {
			return err
		}
		if err := s.fill(ctx, q, acc, records, parts{}, ``); err != nil {
			return err
		}
		list = make([]rules.Record, len(records))
		for i, r := range records {
			list[i] = *r
		}
		return nil
	})
	return list, err
}

// ApplyPage writes some users' changes and the run's progress, if the lease still holds: its row is locked first.
func (s *Store) ApplyPage(ctx context.Context, l rules.SyncLease, ids []rules.UserID,
	rule func([]*rules.Record) rules.SyncRun) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := fenced(tx.Exec(ctx, `UPDATE sync_lease SET run_id = run_id WHERE account_id = $1 AND lease_epoch = $2`,
			string(l.Account), l.Epoch)); err != nil {
			return err
		}
		if len(ids) == 0 {
			return nil
		}
		if err := lock(ctx, tx, l.Account, ids); err != nil {
			return err
		}
		records, err := s.load(ctx, tx, l.Account, ids, parts{secrets: true, devices: true})
		if err != nil {
			return err
		}
		run := rule(records)
		if err := s.write(ctx, tx, records); err != nil {
			return err
		}
		return writeRun(ctx, tx, l, run)
	})
}

func writeRun(ctx context.Context, tx store.Tx, l rules.SyncLease, run rules.SyncRun) error {
	_, err := tx.Exec(ctx, `UPDATE sync_run SET ended_at = $3, looked = $4, changed = $5, pending = $6, failed = $7,
		error = $8 WHERE account_id = $1 AND run_id = $2`, string(l.Account), l.Run, store.Millis(run.EndedAt),
		run.Looked, run.Changed, run.Pending, run.Failed, store.CleanText(run.Error))
	return err
}

// EndSync writes the run's end and gives the lease back.
func (s *Store) EndSync(ctx context.Context, l rules.SyncLease, run rules.SyncRun) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := fenced(tx.Exec(ctx, `UPDATE sync_lease SET lease_until = 0 WHERE account_id = $1 AND lease_epoch = $2`,
			string(l.Account), l.Epoch)); err != nil {
			return err
		}
		return writeRun(ctx, tx, l, run)
	})
}

// SyncRuns returns the latest runs, newest first.
func (s *Store) SyncRuns(ctx context.Context, acc account.ID, limit int) ([]rules.SyncRun, error) {
	var list []rules.SyncRun
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT run_id, started_at, ended_at, looked, changed, pending, failed, error
			FROM sync_run WHERE account_id = $1 ORDER BY started_at DESC, run_id DESC LIMIT $2`, string(acc), limit)
		if err != nil {
			return err
		}
		list, err = collect(rows, func(rows *sql.Rows) (rules.SyncRun, error) {
			run := rules.SyncRun{Account: acc}
			var started, ended int64
			err := rows.Scan(&run.ID, &started, &ended, &run.Looked, &run.Changed, &run.Pending, &run.Failed, &run.Error)
			run.StartedAt, run.EndedAt = store.Time(started), store.Time(ended)
			return run, err
		})
		return err
	})
	return list, err
}
