package cloudlink

import (
	"context"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
	"demarc/store"
)

// grant is a row of cloudlink_grant as the token endpoint needs it.
type grant struct {
	account, id, client, subject string
	scope                        oauth.Scope
	access, refresh              time.Duration
	ended                        int64
}

const grantColumns = `g.account_id, g.grant_id, g.client_id, g.subject, g.scope, g.access_ms, g.refresh_ms, g.ended_at`

// scanGrant reads grantColumns followed by more.
func scanGrant(scan func(...any) error, more ...any) (grant, error) {
	var g grant
	var scope string
	var access, refresh int64
	err := scan(append([]any{&g.account, &g.id, &g.client, &g.subject, &scope, &access, &refresh, &g.ended}, more...)...)
	g.scope = oauth.ParseScope(scope)
	g.access, g.refresh = time.Duration(access)*time.Millisecond, time.Duration(refresh)*time.Millisecond
	return g, missing(err)
}

func (g grant) issued(scope oauth.Scope, expires time.Time) oauth.Issued {
	return oauth.Issued{
		Account: account.ID(g.account), Subject: g.subject, Grant: g.id, Granted: g.scope, Scope: scope, ExpiresAt: expires,
	}
}

// Approve burns the form's ticket and keeps the new grant with its code.
func (s *Store) Approve(ctx context.Context, a oauth.Approval) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := burn(ctx, tx, a.Ticket, a.At); err != nil {
			return err
		}
		if err := insertGrant(ctx, tx, grant{
			account: string(a.Ticket.Account), id: a.Grant, client: a.Client, subject: a.Subject, scope: a.Scope,
			access: a.AccessLifetime, refresh: a.RefreshLifetime,
		}, a.At); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO cloudlink_code
			(account_id, code_hash, grant_id, redirect_uri, challenge, expires_at, used_at)
			VALUES ($1, $2, $3, $4, $5, $6, 0)`, string(a.Ticket.Account), a.CodeHash, a.Grant, a.RedirectURI, a.Challenge,
			store.Millis(a.CodeExpires)); err != nil {
			return err
		}
		return record(ctx, tx, a.Audit)
	})
}

// Issue keeps a client's own grant with its access token.
func (s *Store) Issue(ctx context.Context, i oauth.Issue) error {
	g := grant{
		account: string(i.Account), id: i.Grant, client: i.Client, subject: i.Client, scope: i.Scope,
		access: i.AccessLifetime,
	}
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := insertGrant(ctx, tx, g, i.At); err != nil {
			return err
		}
		return insertAccess(ctx, tx, g, i.AccessHash, 1, i.Scope, i.At.Add(i.AccessLifetime))
	})
}

// Access finds what a living access token of a living grant allows.
func (s *Store) Access(ctx context.Context, tokenHash string, at time.Time) (oauth.Access, error) {
	var found oauth.Access
	err := s.db.Read(ctx, func(q store.Tx) error {
		var acc, scope string
		var expires int64
		err := q.QueryRow(ctx, `SELECT g.account_id, g.grant_id, g.client_id, g.subject, a.scope, a.expires_at
			FROM cloudlink_access a JOIN cloudlink_grant g ON g.account_id = a.account_id AND g.grant_id = a.grant_id
			WHERE a.token_hash = $1 AND a.expires_at > $2 AND g.ended_at = 0`, tokenHash, store.Millis(at)).
			Scan(&acc, &found.Grant, &found.Client, &found.Subject, &scope, &expires)
		found.Account, found.Scope, found.ExpiresAt = account.ID(acc), oauth.ParseScope(scope), store.Time(expires)
		return missing(err)
	})
	return found, err
}

// Links lists the living authorisations that people gave.
func (s *Store) Links(ctx context.Context, acc account.ID, after string, limit int, at time.Time) (
	[]oauth.Link, error) {
	var page []oauth.Link
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT g.grant_id, g.client_id, g.subject, g.scope, g.created_at FROM cloudlink_grant g
			WHERE g.account_id = $1 AND g.grant_id > $2 AND g.ended_at = 0 AND EXISTS (SELECT 1 FROM cloudlink_refresh r
				WHERE r.account_id = g.account_id AND r.grant_id = g.grant_id AND r.rotated_at = 0 AND r.expires_at > $3)
			ORDER BY g.grant_id LIMIT $4`, string(acc), after, store.Millis(at), limit)
		if err != nil {
			return err
		}
		page, err = collect(rows, func(scan func(...any) error) (oauth.Link, error) {
			var l oauth.Link
			var scope string
			var created int64
			err := scan(&l.Grant, &l.Client, &l.Subject, &scope, &created)
			l.Scope, l.CreatedAt = oauth.ParseScope(scope), store.Time(created)
			return l, err
		})
		return err
	})
	return page, err
}

// EndLink ends one authorisation.
func (s *Store) EndLink(ctx context.Context, acc account.ID, grantID string, a oauth.AuditEntry) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		ended, err := endGrant(ctx, tx, string(acc), grantID, a.At, "ended through the API")
		if err != nil {
			return err
		}
		if !ended {
			return oauth.ErrNotFound
		}
		return record(ctx, tx, a)
	})
}

func insertGrant(ctx context.Context, tx store.Tx, g grant, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO cloudlink_grant
		(account_id, grant_id, client_id, subject, scope, access_ms, refresh_ms, created_at, ended_at, end_reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '')`, g.account, g.id, g.client, g.subject, g.scope.String(),
		g.access.Milliseconds(), g.refresh.Milliseconds(), store.Millis(at))
	return err
}

// endGrant ends a family: none of its tokens lives on. It reports whether the grant lived until now.
func endGrant(ctx context.Context, tx store.Tx, acc, id string, at time.Time, reason string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE cloudlink_grant SET ended_at = $3, end_reason = $4
		WHERE account_id = $1 AND grant_id = $2 AND ended_at = 0`, acc, id, store.Millis(at), reason)
	return n == 1, err
}
