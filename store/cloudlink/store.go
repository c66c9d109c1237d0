package cloudlink

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/store"
)

// Store implements the interfaces of cloudlink/oauth.
type Store struct {
	db     *store.DB
	sealer *seal.Sealer
}

var (
	_ oauth.Grants   = (*Store)(nil)
	_ oauth.Bearers  = (*Store)(nil)
	_ oauth.Clients  = (*Store)(nil)
	_ oauth.Sessions = (*Store)(nil)
	_ oauth.Links    = (*Store)(nil)
	_ oauth.Audit    = (*Store)(nil)
)

// New returns a Store on an open, migrated database.
func New(db *store.DB, sealer *seal.Sealer) *Store { return &Store{db: db, sealer: sealer} }

// Record keeps a deed.
func (s *Store) Record(ctx context.Context, a oauth.AuditEntry) error {
	return s.db.Write(ctx, func(tx store.Tx) error { return record(ctx, tx, a) })
}

func record(ctx context.Context, tx store.Tx, a oauth.AuditEntry) error {
	if err := store.CheckText(a.Actor, a.Client, a.Target, a.Correlation, a.Remote); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO cloudlink_audit
		(account_id, audit_id, at, actor, client_id, action, target, correlation, remote)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		string(a.Account), account.NewID("audit"), store.Millis(a.At), a.Actor, a.Client, a.Action, a.Target, a.Correlation,
		a.Remote)
	return err
}

// AuditTrail returns an account's latest deeds, newest first.
func (s *Store) AuditTrail(ctx context.Context, acc account.ID, limit int) ([]oauth.AuditEntry, error) {
	var trail []oauth.AuditEntry
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT at, actor, client_id, action, target, correlation, remote
			FROM cloudlink_audit WHERE account_id = $1 ORDER BY at DESC, audit_id LIMIT $2`, string(acc), limit)
		if err != nil {
			return err
		}
		trail, err = collect(rows, func(scan func(...any) error) (oauth.AuditEntry, error) {
			a, at := oauth.AuditEntry{Account: acc}, int64(0)
			err := scan(&at, &a.Actor, &a.Client, &a.Action, &a.Target, &a.Correlation, &a.Remote)
			a.At = store.Time(at)
			return a, err
		})
		return err
	})
	return trail, err
}

// auditKept is how long deeds are kept.
const auditKept = 365 * 24 * time.Hour

// Sweep removes what has run out, in small transactions. Used codes and rotated refresh tokens stay until they would
// have expired, so that their reuse is still seen; a grant goes when nothing of it is left.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for _, table := range []struct{ name, key string }{
		{"cloudlink_session", "session_hash"}, {"cloudlink_ticket", "ticket_hash"}, {"cloudlink_code", "code_hash"},
		{"cloudlink_access", "token_hash"}, {"cloudlink_refresh", "token_hash"},
	} {
		if err := s.db.Sweep(ctx, table.name, "account_id, "+table.key, `expires_at < $1`, store.Millis(now)); err != nil {
			return err
		}
	}
	where := `created_at < $1`
	for _, table := range []string{"cloudlink_code", "cloudlink_access", "cloudlink_refresh"} {
		where += ` AND NOT EXISTS (SELECT 1 FROM ` + table + ` x
			WHERE x.account_id = t.account_id AND x.grant_id = t.grant_id)`
	}
	if err := s.db.Sweep(ctx, "cloudlink_grant", "account_id, grant_id", where, store.Millis(now)); err != nil {
		return err
	}
	return s.db.Sweep(ctx, "cloudlink_audit", "account_id, audit_id", `at < $1`, store.Millis(now.Add(-auditKept)))
}

// collect reads all rows.
func collect[T any](rows *sql.Rows, one func(scan func(...any) error) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		item, err := one(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, rows.Err()
}

// missing turns "no rows" into ErrNotFound.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return oauth.ErrNotFound
	}
	return err
}
