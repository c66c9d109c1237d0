package access

import (
	"context"
	"fmt"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/store"
)

// Store implements access.Accounts, access.Members and access.Sessions.
type Store struct{ db *store.DB }

// New returns a Store on db.
func New(db *store.DB) *Store { return &Store{db: db} }

// CreateAccount adds the account and its owner.
func (s *Store) CreateAccount(ctx context.Context, a access.Account, owner account.Member) error {
	if err := checkText(a.Name, a.Domain, owner.Email, owner.Name); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO account (account_id, name, domain, created_at) VALUES ($1, $2, $3, $4)`,
			string(a.ID), a.Name, a.Domain, store.Millis(a.CreatedAt))
		if err != nil {
			return err
		}
		return insertMember(ctx, tx, owner, a.CreatedAt)
	})
	if store.IsConflict(err) {
		return fmt.Errorf("%w: the SIP domain %q belongs to another account", access.ErrConflict, a.Domain)
	}
	return err
}

// Accounts lists accounts by name.
func (s *Store) Accounts(ctx context.Context) ([]access.Account, error) {
	var all []access.Account
	err := s.db.Read(ctx, func(q store.Tx) error {
		all = nil
		rows, err := q.Query(ctx, `SELECT account_id, name, domain, created_at FROM account ORDER BY name, account_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scanAccount(rows)
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return rows.Err()
	})
	return all, err
}

// Account returns the account with that id or SIP domain.
func (s *Store) Account(ctx context.Context, idOrDomain string) (access.Account, error) {
	var a access.Account
	err := s.db.Read(ctx, func(q store.Tx) (err error) {
		a, err = scanAccount(q.QueryRow(ctx,
			`SELECT account_id, name, domain, created_at FROM account WHERE account_id = $1 OR domain = $1`, idOrDomain))
		return err
	})
	if store.NoRows(err) {
		return access.Account{}, fmt.Errorf("%w: no account has the id or SIP domain %q", access.ErrNotFound, idOrDomain)
	}
	return a, err
}

// AddMember adds a member.
func (s *Store) AddMember(ctx context.Context, m account.Member, at time.Time) error {
	if err := checkText(m.Email, m.Name); err != nil {
		return err
	}
	err := s.db.Write(ctx, func(tx store.Tx) error { return insertMember(ctx, tx, m, at) })
	if store.IsConflict(err) {
		return fmt.Errorf("%w: %s is a member already", access.ErrConflict, m.Email)
	}
	return err
}

// Members lists an account's members by name.
func (s *Store) Members(ctx context.Context, id account.ID) ([]account.Member, error) {
	var all []account.Member
	err := s.db.Read(ctx, func(q store.Tx) error {
		all = nil
		rows, err := q.Query(ctx, `SELECT account_id, member_id, email, name, role FROM member
			WHERE account_id = $1 ORDER BY name, member_id`, string(id))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			m, err := scanMember(rows)
			if err != nil {
				return err
			}
			all = append(all, m)
		}
		return rows.Err()
	})
	return all, err
}

// MemberByEmail returns the member with that address.
func (s *Store) MemberByEmail(ctx context.Context, id account.ID, email string) (account.Member, error) {
	var m account.Member
	err := s.db.Read(ctx, func(q store.Tx) (err error) {
		m, err = scanMember(q.QueryRow(ctx, `SELECT account_id, member_id, email, name, role FROM member
			WHERE account_id = $1 AND email = $2`, string(id), email))
		return err
	})
	if store.NoRows(err) {
		return account.Member{}, access.ErrNotFound
	}
	return m, err
}

func insertMember(ctx context.Context, tx store.Tx, m account.Member, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO member (account_id, member_id, email, name, role, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		string(m.Account), string(m.ID), m.Email, m.Name, string(m.Role), store.Millis(at))
	return err
}

// checkText refuses what no database of the two can hold, as the caller's fault.
func checkText(texts ...string) error {
	if err := store.CheckText(texts...); err != nil {
		return fmt.Errorf("%w: %w", access.ErrInvalid, err)
	}
	return nil
}

type scanner interface{ Scan(...any) error }

func scanAccount(row scanner) (access.Account, error) {
	var a access.Account
	var created int64
	err := row.Scan(&a.ID, &a.Name, &a.Domain, &created)
	a.CreatedAt = store.Time(created)
	return a, err
}

func scanMember(row scanner) (account.Member, error) {
	var m account.Member
	err := row.Scan(&m.Account, &m.ID, &m.Email, &m.Name, &m.Role)
	return m, err
}
