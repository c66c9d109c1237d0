package connector

import (
	"context"
	"database/sql"
	"slices"
	"time"

	rules "demarc/connector"
	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/store"
)

func (s *Store) verifierPlace(acc account.ID, state string) seal.AAD {
	return seal.AAD{Account: string(acc), Table: "link_attempt", Column: "verifier", Row: state}
}

// Begin saves an attempt and drops the account's stale ones.
func (s *Store) Begin(ctx context.Context, a rules.Attempt, stale time.Time) error {
	verifier, err := s.sealer.Seal(s.verifierPlace(a.Account, a.State), a.Verifier)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM link_attempt WHERE account_id = $1 AND expires_at < $2`,
			string(a.Account), store.Millis(stale)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO link_attempt
			(account_id, state_hash, session_hash, connector_id, member_id, verifier, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, string(a.Account), a.State, a.Session, string(a.Connector),
			string(a.Member), verifier, store.Millis(a.ExpiresAt))
		return err
	})
}

// Take burns an attempt: the delete decides who of many callers gets it.
func (s *Store) Take(ctx context.Context, acc account.ID, session, state string) (rules.Attempt, error) {
	a := rules.Attempt{Account: acc, Session: session, State: state}
	var verifier []byte
	var expires int64
	err := s.db.Write(ctx, func(tx store.Tx) error {
		err := tx.QueryRow(ctx, `SELECT connector_id, member_id, verifier, expires_at FROM link_attempt
			WHERE account_id = $1 AND state_hash = $2 AND session_hash = $3`, string(acc), state, session).
			Scan(&a.Connector, &a.Member, &verifier, &expires)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `DELETE FROM link_attempt WHERE account_id = $1 AND state_hash = $2`, string(acc), state)
		if err == nil && n == 0 {
			return rules.ErrStateUnknown
		}
		return err
	})
	if store.NoRows(err) {
		return rules.Attempt{}, rules.ErrStateUnknown
	}
	if err != nil {
		return rules.Attempt{}, err
	}
	a.ExpiresAt = store.Time(expires)
	a.Verifier, err = s.sealer.Open(s.verifierPlace(acc, state), verifier)
	return a, err
}

// Link saves a grant and sets the connector to linked. An older grant of the same person gives way to it and is returned.
func (s *Store) Link(ctx context.Context, h rules.Held, e rules.Event) ([]rules.Held, error) {
	access, refresh, err := s.sealTokens(h.Key(), h.Tokens)
	if err != nil {
		return nil, err
	}
	var replaced []row
	err = s.db.Write(ctx, func(tx store.Tx) error {
		// First of all, because it locks the connector's row: two links at a time see each other.
		if err := setState(ctx, tx, h.Account, h.Connector, rules.Linked, "", h.GrantedAt); err != nil {
			return err
		}
		if err := bind(ctx, tx, h); err != nil {
			return err
		}
		all, err := working(ctx, tx, h.Account, h.Connector)
		if err != nil {
			return err
		}
		subject := store.CleanText(h.Subject)
		replaced = slices.DeleteFunc(all, func(r row) bool { return r.held.Subject != subject })
		if _, err := tx.Exec(ctx, endGrants+` AND subject = $5`, string(h.Account), string(h.Connector),
			store.Millis(h.GrantedAt), "Replaced by a newer authorisation of the same person.", subject); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO connector_grant (account_id, grant_id, connector_id, subject, email,
			granted_by, granted_at, generation, access_token, refresh_token, scope, expires_at, due_at, refresh_at,
			retry_at, failures, ended_at, end_reason, lease_epoch, lease_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, 0, 0, 0, '', 0, 0)`,
			string(h.Account), h.Grant.ID, string(h.Connector), subject, store.CleanText(h.Email),
			string(h.GrantedBy), store.Millis(h.GrantedAt), h.Generation, access, refresh,
			store.CleanText(h.Tokens.Scope), store.Millis(h.ExpiresAt), store.Millis(h.RefreshAt)); err != nil {
			return err
		}
		return writeEvent(ctx, tx, e)
	})
	if err != nil {
		return nil, err
	}
	var ended []rules.Held
	for _, r := range replaced {
		if old, err := s.open(r); err == nil { // one that does not open has ended here all the same, and the new one stands
			ended = append(ended, old)
		}
	}
	return ended, nil
}

// bind keeps a connector with one account of the service: users of another customer must not take the place of ours
// because an admin of both signed in as the wrong one.
func bind(ctx context.Context, tx store.Tx, h rules.Held) error {
	n, err := tx.Exec(ctx, `UPDATE connector SET remote_account = $3
		WHERE account_id = $1 AND connector_id = $2 AND (remote_account = '' OR remote_account = $3)`,
		string(h.Account), string(h.Connector), store.CleanText(h.RemoteAccount))
	if err == nil && n == 0 {
		return rules.ErrWrongAccount
	}
	return err
}

// endGrants ends the working grants of a connector; with an epoch more, a refresh under way cannot postpone or end
// them.
const endGrants = `UPDATE connector_grant SET ended_at = $3, end_reason = $4, generation = generation + 1,
	lease_epoch = lease_epoch + 1, access_token = '', refresh_token = ''
	WHERE account_id = $1 AND connector_id = $2 AND ended_at = 0`

// Unlink ends every working grant and returns them with the tokens they had.
func (s *Store) Unlink(ctx context.Context, acc account.ID, id rules.ID, reason string, e rules.Event,
) ([]rules.Held, error) {
	var ended []row
	err := s.db.Write(ctx, func(tx store.Tx) error {
		// The connector first: its row lock keeps a link that comes at the same time apart.
		err := setState(ctx, tx, acc, id, rules.Unlinked, reason, e.At)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE connector SET remote_account = '' WHERE account_id = $1 AND connector_id = $2`,
			string(acc), string(id)); err != nil {
			return err
		}
		if ended, err = working(ctx, tx, acc, id); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, endGrants, string(acc), string(id), store.Millis(e.At),
			"Disconnected by an admin."); err != nil {
			return err
		}
		return writeEvent(ctx, tx, e)
	})
	if err != nil {
		return nil, err
	}
	return s.openAll(ended)
}

func working(ctx context.Context, q store.Tx, acc account.ID, id rules.ID) ([]row, error) {
	rows, err := q.Query(ctx, `SELECT `+grantColumns+` FROM connector_grant
		WHERE account_id = $1 AND connector_id = $2 AND ended_at = 0 ORDER BY granted_at DESC, grant_id DESC`,
		string(acc), string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (row, error) { return scanGrant(acc, rows) })
}
