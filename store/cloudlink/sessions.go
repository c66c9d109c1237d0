package cloudlink

import (
	"context"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
	"demarc/store"
)

// SignIn keeps a new session.
func (s *Store) SignIn(ctx context.Context, n oauth.Session, a oauth.AuditEntry) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO cloudlink_session (account_id, session_hash, subject, expires_at)
			VALUES ($1, $2, $3, $4)`, string(n.Account), n.Hash, n.Subject, store.Millis(n.ExpiresAt)); err != nil {
			return err
		}
		return record(ctx, tx, a)
	})
}

// Session finds a living session.
func (s *Store) Session(ctx context.Context, hash string, at time.Time) (oauth.Session, error) {
	found := oauth.Session{Hash: hash}
	err := s.db.Read(ctx, func(q store.Tx) error {
		var acc string
		var expires int64
		err := q.QueryRow(ctx, `SELECT account_id, subject, expires_at FROM cloudlink_session
			WHERE session_hash = $1 AND expires_at > $2`, hash, store.Millis(at)).Scan(&acc, &found.Subject, &expires)
		found.Account, found.ExpiresAt = account.ID(acc), store.Time(expires)
		return missing(err)
	})
	return found, err
}

// SignOut removes a session with its tickets.
func (s *Store) SignOut(ctx context.Context, n oauth.Session) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM cloudlink_ticket WHERE account_id = $1 AND session_hash = $2`,
			string(n.Account), n.Hash); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM cloudlink_session WHERE account_id = $1 AND session_hash = $2`,
			string(n.Account), n.Hash)
		return err
	})
}

// AddTicket keeps a form's ticket.
func (s *Store) AddTicket(ctx context.Context, t oauth.Ticket) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO cloudlink_ticket
			(account_id, ticket_hash, session_hash, request_hash, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			string(t.Account), t.Hash, t.SessionHash, t.Request, store.Millis(t.ExpiresAt))
		return err
	})
}

// burn removes a ticket: only one sender of a form finds it.
func burn(ctx context.Context, tx store.Tx, t oauth.Ticket, at time.Time) error {
	gone, err := tx.Exec(ctx, `DELETE FROM cloudlink_ticket WHERE account_id = $1 AND ticket_hash = $2
		AND session_hash = $3 AND request_hash = $4 AND expires_at > $5`,
		string(t.Account), t.Hash, t.SessionHash, t.Request, store.Millis(at))
	if err == nil && gone != 1 {
		return oauth.ErrTicket
	}
	return err
}
