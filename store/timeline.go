package store

import (
	"context"
	"strings"

	"demarc/internal/account"
	"demarc/internal/timeline"
)

// WriteTimeline adds entries within the transaction of the change that they tell of. Text that cannot be stored is
// mended rather than refused: a broken reason phrase from a phone must not undo the change. An entry that stands there by its id stays.
func WriteTimeline(ctx context.Context, tx Tx, entries ...timeline.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	insert, err := tx.Prepare(ctx, `INSERT INTO timeline
		(account_id, user_id, at, seq, entry_id, kind, device_id, code, text, actor)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (account_id, user_id, at, seq, entry_id) DO NOTHING`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i, e := range entries {
		id, seq := account.NewID("tl"), i
		if e.ID != "" {
			id, seq = e.ID, 0
		}
		if _, err := insert.ExecContext(ctx, string(e.Account), e.User, Millis(e.At), seq, id,
			string(e.Kind), e.Device, e.Code, CleanText(e.Text), CleanText(e.Actor)); err != nil {
			return err
		}
	}
	return nil
}

// ReadTimeline returns the newest entries of one user, newest first.
func ReadTimeline(ctx context.Context, q Tx, acct account.ID, user string, limit int) ([]timeline.Entry, error) {
	rows, err := q.Query(ctx, `SELECT at, kind, device_id, code, text, actor FROM timeline
		WHERE account_id = $1 AND user_id = $2 ORDER BY at DESC, seq DESC, entry_id DESC LIMIT $3`,
		string(acct), user, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []timeline.Entry
	for rows.Next() {
		e := timeline.Entry{Account: acct, User: user}
		var at int64
		if err := rows.Scan(&at, &e.Kind, &e.Device, &e.Code, &e.Text, &e.Actor); err != nil {
			return nil, err
		}
		e.At = Time(at)
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// CleanText replaces what no text column takes.
func CleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
