package provisioning

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/internal/timeline"
	rules "demarc/provisioning"
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

// clock is the store's time in milliseconds: leases of several processes go by one clock.
func (s *Store) clock() string {
	if s.db.Dialect() == store.PostgreSQL {
		return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`
	}
	return `CAST(unixepoch('subsec') * 1000 AS BIGINT)`
}

// Users returns all integrated users of an account by id.
func (s *Store) Users(ctx context.Context, acc account.ID) ([]rules.IntegratedUser, error) {
	var list []rules.IntegratedUser
	err := s.db.Read(ctx, func(q store.Tx) error {
		var err error
		list, err = users(ctx, q, acc)
		return err
	})
	return list, err
}

func users(ctx context.Context, q store.Tx, acc account.ID) ([]rules.IntegratedUser, error) {
	records, err := scanUsers(ctx, q, acc, `ORDER BY user_id`)
	list := make([]rules.IntegratedUser, len(records))
	for i, r := range records {
		list[i] = r.User
	}
	return list, err
}

// Admit adds and updates users as plan says, over all users of the account. The account's row is locked, so that two
// imports see each other.
func (s *Store) Admit(ctx context.Context, acc account.ID,
	plan func([]rules.IntegratedUser) (rules.Admission, error)) error {
	err := s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE account SET created_at = created_at WHERE account_id = $1`,
			string(acc)); err != nil {
			return err
		}
		existing, err := users(ctx, tx, acc)
		if err != nil {
			return err
		}
		a, err := plan(existing)
		if err != nil {
			return err
		}
		if err := s.add(ctx, tx, acc, a.Add); err != nil {
			return err
		}
		if err := s.update(ctx, tx, a.Update); err != nil {
			return err
		}
		return s.writeTimeline(ctx, tx, a.Entries)
	})
	if store.IsConflict(err) {
		return fmt.Errorf("%w: somebody else added one of these users at the same time; try again", rules.ErrConflict)
	}
	return err
}

// add makes members for new emails, and puts everybody on the integration.
func (s *Store) add(ctx context.Context, tx store.Tx, acc account.ID, list []rules.IntegratedUser) error {
	if len(list) == 0 {
		return nil
	}
	members := newBatch("account_id", "member_id", "email", "name", "role", "created_at bigint")
	for _, u := range list {
		members.add(string(acc), account.NewID("mem"), u.Email, u.Name, string(account.User), store.Millis(u.AddedAt))
	}
	if err := members.insert(ctx, tx, s.db.Dialect(), "member", "ON CONFLICT (account_id, email) DO NOTHING"); err != nil {
		return err
	}
	ids, err := memberIDs(ctx, tx, acc)
	if err != nil {
		return err
	}
	records := make([]*rules.Record, len(list))
	for i, u := range list {
		m := ids[u.Email]
		u.Member, u.Name = m.ID, firstText(u.Name, m.Name)
		r := rules.NewRecord(u)
		records[i] = &r
	}
	rows := newBatch(append(userColumns(), "member_id", "email", "added_at bigint", "version bigint")...)
	for _, r := range records {
		if err := store.CheckText(r.User.Email, r.User.Name, r.User.Extension); err != nil {
			return fmt.Errorf("%w: %w", rules.ErrInvalid, err)
		}
		rows.add(append(userValues(r), string(r.User.Member), r.User.Email, store.Millis(r.User.AddedAt), int64(0))...)
	}
	if err := rows.insert(ctx, tx, s.db.Dialect(), "integrated_user", ""); err != nil {
		return err
	}
	return s.writeParts(ctx, tx, records)
}

func memberIDs(ctx context.Context, tx store.Tx, acc account.ID) (map[string]account.Member, error) {
	rows, err := tx.Query(ctx, `SELECT member_id, email, name FROM member WHERE account_id = $1`, string(acc))
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, func(rows *sql.Rows) (m account.Member, err error) {
		return m, rows.Scan(&m.ID, &m.Email, &m.Name)
	})
	byEmail := make(map[string]account.Member, len(list))
	for _, m := range list {
		byEmail[m.Email] = m
	}
	return byEmail, err
}

func (s *Store) update(ctx context.Context, tx store.Tx, list []rules.IntegratedUser) error {
	for _, u := range list {
		sortName, search := sortAndSearch(u)
		if _, err := tx.Exec(ctx, `UPDATE integrated_user SET name = $3, extension = $4, given_extension = $5,
			sort_name = $6, search = $7, version = version + 1 WHERE account_id = $1 AND user_id = $2`,
			string(u.Account), string(u.ID), u.Name, u.Extension, u.GivenExtension, sortName, search); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes a user; credentials, devices and tickets go with the row.
func (s *Store) Remove(ctx context.Context, acc account.ID, id rules.UserID, e timeline.Entry) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM integrated_user WHERE account_id = $1 AND user_id = $2`,
			string(acc), string(id))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("user %w", rules.ErrNotFound)
		}
		return store.WriteTimeline(ctx, tx, e)
	})
}

// Timeline returns a user's newest entries.
func (s *Store) Timeline(ctx context.Context, acc account.ID, id rules.UserID, limit int) ([]timeline.Entry, error) {
	var list []timeline.Entry
	err := s.db.Read(ctx, func(q store.Tx) error {
		var err error
		list, err = store.ReadTimeline(ctx, q, acc, string(id), limit)
		return err
	})
	return list, err
}

// writeTimeline is store.WriteTimeline for many entries at once.
func (s *Store) writeTimeline(ctx context.Context, tx store.Tx, entries []timeline.Entry) error {
	rows := newBatch("account_id", "user_id", "at bigint", "seq bigint", "entry_id", "kind", "device_id", "code bigint",
		"text", "actor")
	for i, e := range entries {
		rows.add(string(e.Account), e.User, store.Millis(e.At), int64(i), account.NewID("tl"), string(e.Kind), e.Device,
			int64(e.Code), store.CleanText(e.Text), store.CleanText(e.Actor))
	}
	return rows.insert(ctx, tx, s.db.Dialect(), "timeline", "")
}

func sortAndSearch(u rules.IntegratedUser) (sortName, search string) {
	sortName = strings.ToLower(firstText(u.Name, u.Email))
	return sortName, strings.ToLower(u.Name + "\n" + u.Email + "\n" + u.Extension)
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
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
