package connector

import (
	"context"
	"database/sql"
	"errors"
	"time"

	rules "demarc/connector"
	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/store"
)

const grantColumns = `connector_id, grant_id, subject, email, granted_by, granted_at, generation, access_token,
	refresh_token, scope, expires_at, refresh_at, retry_at, failures, ended_at, end_reason`

// row is a grant with its tokens still sealed.
type row struct {
	held            rules.Held
	access, refresh []byte
}

func scanGrant(acc account.ID, from interface{ Scan(...any) error }) (row, error) {
	var r row
	h := &r.held
	h.Account = acc
	var granted, expires, refresh, retry, ended int64
	err := from.Scan(&h.Connector, &h.Grant.ID, &h.Subject, &h.Email, &h.GrantedBy, &granted, &h.Generation, &r.access,
		&r.refresh, &h.Tokens.Scope, &expires, &refresh, &retry, &h.Failures, &ended, &h.EndReason)
	h.GrantedAt, h.ExpiresAt, h.EndedAt = store.Time(granted), store.Time(expires), store.Time(ended)
	h.RefreshAt, h.RetryAt, h.Tokens.ExpiresAt = store.Time(refresh), store.Time(retry), h.ExpiresAt
	return r, err
}

func place(key rules.GrantKey, column string) seal.AAD {
	return seal.AAD{Account: string(key.Account), Table: "connector_grant", Column: column, Row: key.Grant}
}

func (s *Store) sealTokens(key rules.GrantKey, t rules.Tokens) (access, refresh []byte, err error) {
	access, err = s.sealer.Seal(place(key, "access_token"), t.Access)
	if err == nil {
		refresh, err = s.sealer.Seal(place(key, "refresh_token"), t.Refresh)
	}
	return access, refresh, err
}

// open unseals the tokens of a working grant; an ended one has none.
func (s *Store) open(r row) (rules.Held, error) {
	h := r.held
	if !h.EndedAt.IsZero() {
		return h, nil
	}
	var err error
	if h.Tokens.Access, err = s.sealer.Open(place(h.Key(), "access_token"), r.access); err != nil {
		return rules.Held{}, err
	}
	h.Tokens.Refresh, err = s.sealer.Open(place(h.Key(), "refresh_token"), r.refresh)
	return h, err
}

func (s *Store) openAll(rows []row) ([]rules.Held, error) {
	list := make([]rules.Held, len(rows))
	for i, r := range rows {
		var err error
		if list[i], err = s.open(r); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Working returns the working grants with their tokens, newest first.
func (s *Store) Working(ctx context.Context, acc account.ID, id rules.ID) ([]rules.Held, error) {
	var rows []row
	err := s.db.Read(ctx, func(q store.Tx) error {
		var err error
		rows, err = working(ctx, q, acc, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.openAll(rows)
}

// Due returns the grants of all accounts that are to be refreshed now.
func (s *Store) Due(ctx context.Context, at time.Time, limit int) ([]rules.GrantKey, error) {
	var keys []rules.GrantKey
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT account_id, connector_id, grant_id FROM connector_grant
			WHERE ended_at = 0 AND due_at <= $1 ORDER BY due_at, grant_id LIMIT $2`, store.Millis(at), limit)
		if err != nil {
			return err
		}
		keys, err = collect(rows, func(rows *sql.Rows) (k rules.GrantKey, err error) {
			return k, rows.Scan(&k.Account, &k.Connector, &k.Grant)
		})
		return err
	})
	return keys, err
}

// Rotate saves new tokens; the generation alone guards it.
func (s *Store) Rotate(ctx context.Context, key rules.GrantKey, generation int64, t rules.Tokens, refreshAt time.Time,
	e rules.Event) error {
	access, refresh, err := s.sealTokens(key, t)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx store.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE connector_grant SET generation = generation + 1, access_token = $4,
			refresh_token = $5, scope = $6, expires_at = $7, refresh_at = $8, due_at = $8, retry_at = 0, failures = 0
			WHERE account_id = $1 AND grant_id = $2 AND generation = $3 AND ended_at = 0`,
			string(key.Account), key.Grant, generation, access, refresh, store.CleanText(t.Scope),
			store.Millis(t.ExpiresAt), store.Millis(refreshAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return rules.ErrStale
		}
		if _, err := tx.Exec(ctx, `UPDATE connector SET reason = '' WHERE account_id = $1 AND connector_id = $2
			AND state = $3 AND reason <> ''`, string(key.Account), string(key.Connector), string(rules.Linked)); err != nil {
			return err
		}
		return writeEvent(ctx, tx, e)
	})
}

// clock is the store's time in milliseconds: leases of several processes go by one clock.
func (s *Store) clock() string {
	if s.db.Dialect() == store.PostgreSQL {
		return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`
	}
	return `CAST(unixepoch('subsec') * 1000 AS BIGINT)`
}

// Acquire takes the lease when it is free, and returns the grant as it then stands.
func (s *Store) Acquire(ctx context.Context, key rules.GrantKey, ttl time.Duration,
) (lease rules.Lease, h rules.Held, ok bool, err error) {
	var r row
	lease.Key = key
	err = s.db.Write(ctx, func(tx store.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE connector_grant SET lease_epoch = lease_epoch + 1,
			lease_until = `+s.clock()+` + $3
			WHERE account_id = $1 AND grant_id = $2 AND ended_at = 0 AND lease_until < `+s.clock(),
			string(key.Account), key.Grant, ttl.Milliseconds())
		if err != nil {
			return err
		}
		ok = n == 1
		if err := tx.QueryRow(ctx, `SELECT lease_epoch FROM connector_grant WHERE account_id = $1 AND grant_id = $2`,
			string(key.Account), key.Grant).Scan(&lease.Epoch); err != nil {
			return err
		}
		r, err = scanGrant(key.Account, tx.QueryRow(ctx, `SELECT `+grantColumns+` FROM connector_grant
			WHERE account_id = $1 AND grant_id = $2`, string(key.Account), key.Grant))
		return err
	})
	if store.NoRows(err) {
		err = rules.ErrNotFound
	}
	if err != nil {
		return rules.Lease{}, rules.Held{}, false, err
	}
	h, err = s.open(r)
	return lease, h, ok && err == nil, err
}

// Release gives the lease back early.
func (s *Store) Release(ctx context.Context, l rules.Lease) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE connector_grant SET lease_until = 0
			WHERE account_id = $1 AND grant_id = $2 AND lease_epoch = $3`,
			string(l.Key.Account), l.Key.Grant, l.Epoch)
		return err
	})
}

// Postpone counts a failure. A lease or generation that has moved on makes it nothing: somebody newer decides.
func (s *Store) Postpone(ctx context.Context, l rules.Lease, generation int64, retryAt time.Time, note string,
	e rules.Event) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE connector_grant SET failures = failures + 1, retry_at = $5, due_at = $5,
			lease_until = 0
			WHERE account_id = $1 AND grant_id = $2 AND lease_epoch = $3 AND generation = $4 AND ended_at = 0`,
			string(l.Key.Account), l.Key.Grant, l.Epoch, generation, store.Millis(retryAt))
		if err != nil || n == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE connector SET reason = $3 WHERE account_id = $1 AND connector_id = $2
			AND state = $4`, string(l.Key.Account), string(l.Key.Connector), store.CleanText(note),
			string(rules.Linked)); err != nil {
			return err
		}
		var failures int
		if err := tx.QueryRow(ctx, `SELECT failures FROM connector_grant WHERE account_id = $1 AND grant_id = $2`,
			string(l.Key.Account), l.Key.Grant).Scan(&failures); err != nil || failures > 1 {
			return err
		}
		return writeEvent(ctx, tx, e)
	})
}

// End ends a grant, and the link when it was the last.
func (s *Store) End(ctx context.Context, l rules.Lease, generation int64, reason string, e rules.Event) error {
	key := l.Key
	err := s.db.Write(ctx, func(tx store.Tx) error {
		// The connector's row is locked first, so that the last two grants cannot both believe in the other one.
		if _, err := tx.Exec(ctx, `UPDATE connector SET changed_at = changed_at
			WHERE account_id = $1 AND connector_id = $2`, string(key.Account), string(key.Connector)); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, endGrants+` AND grant_id = $5 AND generation = $6 AND lease_epoch = $7`,
			string(key.Account), string(key.Connector), store.Millis(e.At), store.CleanText(reason), key.Grant,
			generation, l.Epoch)
		if err != nil {
			return err
		}
		if n == 0 {
			return rules.ErrStale
		}
		return needAuth(ctx, tx, key, reason, e)
	})
	if errors.Is(err, rules.ErrStale) {
		return nil // rotated or ended by somebody newer: nothing to end
	}
	return err
}

func needAuth(ctx context.Context, tx store.Tx, key rules.GrantKey, reason string, e rules.Event) error {
	left, err := working(ctx, tx, key.Account, key.Connector)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		e.Text += " The authorisation of " + left[0].held.Email + " takes over."
		return writeEvent(ctx, tx, e)
	}
	if err := setState(ctx, tx, key.Account, key.Connector, rules.NeedsAuth, reason, e.At); err != nil {
		return err
	}
	return writeEvent(ctx, tx, e)
}
