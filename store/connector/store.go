package connector

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	rules "demarc/connector"
	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/store"
)

// Store implements the rules' Store.
type Store struct {
	db     *store.DB
	sealer *seal.Sealer
}

var _ rules.Store = (*Store)(nil)

// New returns a Store on an open, migrated database.
func New(db *store.DB, sealer *seal.Sealer) *Store { return &Store{db: db, sealer: sealer} }

// Install adds the app to an account once.
func (s *Store) Install(ctx context.Context, acc account.ID, by account.MemberID, at time.Time) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO app_install (account_id, installed_at, installed_by) VALUES ($1, $2, $3)
			ON CONFLICT (account_id) DO NOTHING`, string(acc), store.Millis(at), string(by))
		return err
	})
}

// Installed reports whether the account has the app.
func (s *Store) Installed(ctx context.Context, acc account.ID) (bool, error) {
	var n int
	err := s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT COUNT(*) FROM app_install WHERE account_id = $1`, string(acc)).Scan(&n)
	})
	return n > 0, err
}

// Create inserts a connector.
func (s *Store) Create(ctx context.Context, c rules.Connector, e rules.Event) error {
	if err := store.CheckText(c.Name, c.BaseURL); err != nil {
		return fmt.Errorf("%w: %w", rules.ErrInvalid, err)
	}
	err := s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO connector
			(account_id, connector_id, name, base_url, state, reason, created_at, created_by, changed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			string(c.Account), string(c.ID), c.Name, c.BaseURL, string(c.State), c.Reason,
			store.Millis(c.CreatedAt), string(c.CreatedBy), store.Millis(c.ChangedAt)); err != nil {
			return err
		}
		return writeEvent(ctx, tx, e)
	})
	if store.IsConflict(err) {
		return fmt.Errorf("%w: there is a connector named %q already", rules.ErrInvalid, c.Name)
	}
	return err
}

const connectorColumns = `connector_id, name, base_url, state, reason, created_at, created_by, changed_at`

func scanConnector(acc account.ID, row interface{ Scan(...any) error }) (rules.Connector, error) {
	c := rules.Connector{Account: acc}
	var created, changed int64
	err := row.Scan(&c.ID, &c.Name, &c.BaseURL, &c.State, &c.Reason, &created, &c.CreatedBy, &changed)
	c.CreatedAt, c.ChangedAt = store.Time(created), store.Time(changed)
	return c, err
}

// List returns an account's connectors by name.
func (s *Store) List(ctx context.Context, acc account.ID) ([]rules.Connector, error) {
	var list []rules.Connector
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT `+connectorColumns+` FROM connector WHERE account_id = $1
			ORDER BY name, connector_id`, string(acc))
		if err != nil {
			return err
		}
		list, err = collect(rows, func(rows *sql.Rows) (rules.Connector, error) { return scanConnector(acc, rows) })
		return err
	})
	return list, err
}

// Connector returns one connector and its grants without tokens, newest first.
func (s *Store) Connector(ctx context.Context, acc account.ID, id rules.ID) (rules.Connector, []rules.Grant, error) {
	var c rules.Connector
	var grants []rules.Grant
	err := s.db.Read(ctx, func(q store.Tx) error {
		var err error
		c, err = scanConnector(acc, q.QueryRow(ctx, `SELECT `+connectorColumns+` FROM connector
			WHERE account_id = $1 AND connector_id = $2`, string(acc), string(id)))
		if err != nil {
			return err
		}
		rows, err := q.Query(ctx, `SELECT `+grantColumns+` FROM connector_grant
			WHERE account_id = $1 AND connector_id = $2 ORDER BY granted_at DESC, grant_id DESC`, string(acc), string(id))
		if err != nil {
			return err
		}
		grants, err = collect(rows, func(rows *sql.Rows) (rules.Grant, error) {
			r, err := scanGrant(acc, rows)
			return r.held.Grant, err
		})
		return err
	})
	if store.NoRows(err) {
		return rules.Connector{}, nil, rules.ErrNotFound
	}
	return c, grants, err
}

// History returns a connector's events, newest first.
func (s *Store) History(ctx context.Context, acc account.ID, id rules.ID, limit int) ([]rules.Event, error) {
	var list []rules.Event
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT at, actor, text FROM connector_event
			WHERE account_id = $1 AND connector_id = $2 ORDER BY at DESC, event_id DESC LIMIT $3`,
			string(acc), string(id), limit)
		if err != nil {
			return err
		}
		list, err = collect(rows, func(rows *sql.Rows) (rules.Event, error) {
			e := rules.Event{Account: acc, Connector: id}
			var at int64
			err := rows.Scan(&at, &e.Actor, &e.Text)
			e.At = store.Time(at)
			return e, err
		})
		return err
	})
	return list, err
}

// Sweep removes what nobody needs any more.
func (s *Store) Sweep(ctx context.Context, k rules.Kept) error {
	if err := s.db.Sweep(ctx, "link_attempt", "account_id, state_hash", `expires_at < $1`,
		store.Millis(k.Attempts)); err != nil {
		return err
	}
	if err := s.db.Sweep(ctx, "connector_grant", "account_id, grant_id", `ended_at > 0 AND ended_at < $1`,
		store.Millis(k.Grants)); err != nil {
		return err
	}
	return s.db.SweepAllBut(ctx, k.Events, "connector_event", "account_id, connector_id", "at, event_id")
}

// writeEvent adds to the history; an event without text is none.
func writeEvent(ctx context.Context, tx store.Tx, e rules.Event) error {
	if e.Text == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO connector_event (account_id, connector_id, at, event_id, actor, text)
		VALUES ($1, $2, $3, $4, $5, $6)`, string(e.Account), string(e.Connector), store.Millis(e.At),
		account.NewID("ev"), store.CleanText(e.Actor), store.CleanText(e.Text))
	return err
}

func setState(ctx context.Context, tx store.Tx, acc account.ID, id rules.ID, state rules.State, reason string,
	at time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE connector SET state = $3, reason = $4, changed_at = $5
		WHERE account_id = $1 AND connector_id = $2`, string(acc), string(id), string(state), store.CleanText(reason),
		store.Millis(at))
	if err == nil && n == 0 {
		return rules.ErrNotFound
	}
	return err
}

func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
