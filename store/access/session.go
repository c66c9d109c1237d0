package access

import (
	"context"
	"fmt"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/store"
)

// SaveLink adds a sign-in link, and forgets the account's links that are over.
func (s *Store) SaveLink(ctx context.Context, l access.SignInLink) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM sign_in_link WHERE account_id = $1 AND expires_at <= $2`,
			string(l.Account), store.Millis(l.CreatedAt))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO sign_in_link
			(account_id, token_hash, member_id, created_at, expires_at, used_at) VALUES ($1, $2, $3, $4, $5, 0)`,
			string(l.Account), l.Hash, string(l.Member), store.Millis(l.CreatedAt), store.Millis(l.ExpiresAt))
		return err
	})
}

// BurnLink uses a link up, ends the browser's old session and starts the new one.
func (s *Store) BurnLink(
	ctx context.Context, linkHash, oldSessionHash string, fresh access.WebSession,
) (account.Member, error) {
	var m account.Member
	err := s.db.Write(ctx, func(tx store.Tx) (err error) {
		if m, err = burn(ctx, tx, linkHash, fresh.CreatedAt); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM web_session
			WHERE token_hash = $1 OR (account_id = $2 AND expires_at <= $3)`,
			oldSessionHash, string(m.Account), store.Millis(fresh.CreatedAt))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO web_session
			(account_id, session_id, token_hash, member_id, created_at, last_seen, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			string(m.Account), fresh.ID, fresh.Hash, string(m.ID), store.Millis(fresh.CreatedAt),
			store.Millis(fresh.LastSeen), store.Millis(fresh.ExpiresAt))
		return err
	})
	return m, err
}

// burn is one conditional statement, so that of many at once exactly one wins.
func burn(ctx context.Context, tx store.Tx, linkHash string, now time.Time) (account.Member, error) {
	n, err := tx.Exec(ctx, `UPDATE sign_in_link SET used_at = $2
		WHERE token_hash = $1 AND used_at = 0 AND expires_at > $2`, linkHash, store.Millis(now))
	if err != nil {
		return account.Member{}, err
	}
	if n != 1 {
		return account.Member{}, fmt.Errorf("%w: ask for a new one", access.ErrLinkUsed)
	}
	return scanMember(tx.QueryRow(ctx, `SELECT m.account_id, m.member_id, m.email, m.name, m.role
		FROM sign_in_link l JOIN member m ON m.account_id = l.account_id AND m.member_id = l.member_id
		WHERE l.token_hash = $1`, linkHash))
}

// Session returns a web session with its member.
func (s *Store) Session(ctx context.Context, hash string) (access.WebSession, account.Member, error) {
	var w access.WebSession
	var m account.Member
	err := s.db.Read(ctx, func(q store.Tx) error {
		var created, seen, expires int64
		err := q.QueryRow(ctx, `SELECT s.account_id, s.session_id, s.token_hash, s.member_id, s.created_at, s.last_seen,
			s.expires_at, m.email, m.name, m.role
			FROM web_session s JOIN member m ON m.account_id = s.account_id AND m.member_id = s.member_id
			WHERE s.token_hash = $1`, hash).
			Scan(&w.Account, &w.ID, &w.Hash, &w.Member, &created, &seen, &expires, &m.Email, &m.Name, &m.Role)
		w.CreatedAt, w.LastSeen, w.ExpiresAt = store.Time(created), store.Time(seen), store.Time(expires)
		m.Account, m.ID = w.Account, w.Member
		return err
	})
	if store.NoRows(err) {
		return access.WebSession{}, account.Member{}, access.ErrNotFound
	}
	return w, m, err
}

// TouchSession notes that a session was used; it never moves the note back.
func (s *Store) TouchSession(ctx context.Context, w access.WebSession, at time.Time) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE web_session SET last_seen = $3
			WHERE account_id = $1 AND session_id = $2 AND last_seen < $3`, string(w.Account), w.ID, store.Millis(at))
		return err
	})
}

// EndSessions deletes one session of a member, or all when session is empty.
func (s *Store) EndSessions(ctx context.Context, id account.ID, member account.MemberID, session string) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM web_session
			WHERE account_id = $1 AND member_id = $2 AND ($3 = '' OR session_id = $3)`,
			string(id), string(member), session)
		return err
	})
}

// Sweep deletes links and sessions that ended before now.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	err := s.db.Sweep(ctx, "sign_in_link", "account_id, token_hash", `expires_at <= $1`, store.Millis(now))
	if err != nil {
		return err
	}
	return s.db.Sweep(ctx, "web_session", "account_id, session_id", `expires_at <= $1`, store.Millis(now))
}
