package cloudlink

import (
	"context"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
	"demarc/store"
)

const clientColumns = `account_id, client_id, name, secret_hash, scope, created_at, created_by`

// Client finds an account's client by its id.
func (s *Store) Client(ctx context.Context, id string) (oauth.Client, error) {
	var c oauth.Client
	err := s.db.Read(ctx, func(q store.Tx) (err error) {
		c, err = scanClient(q.QueryRow(ctx, `SELECT `+clientColumns+` FROM cloudlink_client WHERE client_id = $1`, id).Scan)
		return missing(err)
	})
	return c, err
}

// AddClient keeps a new client.
func (s *Store) AddClient(ctx context.Context, c oauth.Client, a oauth.AuditEntry) error {
	if err := store.CheckText(c.Name); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO cloudlink_client (`+clientColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			string(c.Account), c.ID, c.Name, c.SecretHash, oauth.Scope(c.Scopes).String(), store.Millis(c.CreatedAt),
			c.CreatedBy); err != nil {
			return err
		}
		return record(ctx, tx, a)
	})
}

// ClientsOf returns a page of an account's clients by id.
func (s *Store) ClientsOf(ctx context.Context, acc account.ID, after string, limit int) ([]oauth.Client, error) {
	var page []oauth.Client
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT `+clientColumns+` FROM cloudlink_client
			WHERE account_id = $1 AND client_id > $2 ORDER BY client_id LIMIT $3`, string(acc), after, limit)
		if err != nil {
			return err
		}
		page, err = collect(rows, scanClient)
		return err
	})
	return page, err
}

// RemoveClient removes a client and ends its grants.
func (s *Store) RemoveClient(ctx context.Context, acc account.ID, id string, a oauth.AuditEntry) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		gone, err := tx.Exec(ctx, `DELETE FROM cloudlink_client WHERE account_id = $1 AND client_id = $2`, string(acc), id)
		if err != nil {
			return err
		}
		if gone == 0 {
			return oauth.ErrNotFound
		}
		if _, err := tx.Exec(ctx, `UPDATE cloudlink_grant SET ended_at = $3, end_reason = 'client removed'
			WHERE account_id = $1 AND client_id = $2 AND ended_at = 0`, string(acc), id, store.Millis(a.At)); err != nil {
			return err
		}
		return record(ctx, tx, a)
	})
}

func scanClient(scan func(...any) error) (oauth.Client, error) {
	c := oauth.Client{Grants: []oauth.GrantType{oauth.ClientCredentials}}
	var acc, scope string
	var created int64
	err := scan(&acc, &c.ID, &c.Name, &c.SecretHash, &scope, &created, &c.CreatedBy)
	c.Account, c.Scopes, c.CreatedAt = account.ID(acc), oauth.ParseScope(scope), store.Time(created)
	return c, err
}
