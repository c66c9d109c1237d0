package registrar

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/store"
	"demarc/telephony/digest"
	"demarc/telephony/directory"
)

var subscriberTable = store.Table{
	Name: "subscriber",
	Columns: []string{"account_id", "user_id", "extension", "name", "email", "auth_username", "realm", "desktop boolean",
		"mobile boolean", "voicemail", "caller_id", "srtp", "version", "hashes bytea", "source bytea"},
	Key: "account_id, user_id",
}

// atOnce bounds the rows of one transaction, so that a REGISTER never waits long behind a big users file.
const atOnce = 500

// Replaced says what a Replace did.
type Replaced struct{ Added, Changed, Removed, Unchanged int }

// Replace makes the account's directory what a users file says. A row that is the same in the file as at the last
// Replace is left alone, so that a credential rotated since stays rotated. It works in steps of 500 rows; when it
// fails on the way, run it again.
func (s *Store) Replace(ctx context.Context, acc account.ID, d directory.Directory) (Replaced, error) {
	known, err := s.sources(ctx, acc)
	if err != nil {
		return Replaced{}, err
	}
	var done Replaced
	var put [][]any
	for _, sub := range d.Subscribers {
		print := sub.Fingerprint()
		before, ok := known[sub.UserID]
		delete(known, sub.UserID)
		switch {
		case ok && before.Equal(print):
			done.Unchanged++
			continue
		case ok:
			done.Changed++
		default:
			done.Added++
		}
		row, err := s.subscriberRow(acc, sub, print)
		if err != nil {
			return done, err
		}
		put = append(put, row)
	}
	done.Removed = len(known)
	if err := s.writePBX(ctx, acc, d.PBX); err != nil {
		return done, err
	}
	gone := make([][]any, 0, len(known))
	for userID := range known {
		gone = append(gone, []any{string(acc), userID})
	}
	for part := range slices.Chunk(gone, atOnce) {
		if err := s.change(ctx, acc, func(tx store.Tx) error {
			return store.Loop(ctx, tx, `DELETE FROM subscriber WHERE account_id = $1 AND user_id = $2`, part)
		}); err != nil {
			return done, err
		}
	}
	for part := range slices.Chunk(put, atOnce) {
		if err := s.change(ctx, acc, func(tx store.Tx) error {
			return subscriberTable.Write(ctx, tx, s.db.Dialect(), part)
		}); err != nil {
			return done, err
		}
	}
	return done, nil
}

// Removes returns how many users Replace would take out of the account's directory, and how many are in it.
func (s *Store) Removes(ctx context.Context, acc account.ID, d directory.Directory) (removed, before int, err error) {
	named := make(map[string]struct{}, len(d.Subscribers))
	for i := range d.Subscribers {
		named[d.Subscribers[i].UserID] = struct{}{}
	}
	err = s.db.Read(ctx, func(q store.Tx) error {
		removed, before = 0, 0
		rows, err := q.Query(ctx, `SELECT user_id FROM subscriber WHERE account_id = $1`, string(acc))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var userID string
			if err := rows.Scan(&userID); err != nil {
				return err
			}
			before++
			if _, ok := named[userID]; !ok {
				removed++
			}
		}
		return rows.Err()
	})
	return removed, before, err
}

// change runs fn and raises the directory's version in the same commit.
func (s *Store) change(ctx context.Context, acc account.ID, fn func(tx store.Tx) error) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE pbx SET version = version + 1 WHERE account_id = $1`, string(acc))
		return err
	})
}

func (s *Store) writePBX(ctx context.Context, acc account.ID, p cloudlink.PBX) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO pbx (account_id, domain, realm, description, version)
			VALUES ($1, $2, $3, $4, 1) ON CONFLICT (account_id) DO UPDATE SET domain = excluded.domain,
			realm = excluded.realm, description = excluded.description, version = pbx.version + 1
			WHERE pbx.domain <> excluded.domain OR pbx.realm <> excluded.realm OR pbx.description <> excluded.description`,
			string(acc), p.Domain, p.Realm, string(text))
		return err
	})
	if store.IsConflict(err) {
		return fmt.Errorf("the SIP domain %s belongs to another account: give this PBX a domain of its own", p.Domain)
	}
	return err
}

// sources returns the fingerprints of the rows as they stood in the file.
func (s *Store) sources(ctx context.Context, acc account.ID) (map[string]account.Secret, error) {
	known := make(map[string]account.Secret)
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT user_id, source FROM subscriber WHERE account_id = $1`, string(acc))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var userID string
			var sealed []byte
			if err := rows.Scan(&userID, &sealed); err != nil {
				return err
			}
			if known[userID], err = s.sealer.Open(sourcePlace(acc, userID), sealed); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return known, err
}

// PBX returns the description of the account's PBX; cloudlink.ErrNotFound when no users file was read yet.
func (s *Store) PBX(ctx context.Context, acc account.ID) (cloudlink.PBX, error) {
	var p cloudlink.PBX
	var text string
	err := s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT description FROM pbx WHERE account_id = $1`, string(acc)).Scan(&text)
	})
	if store.NoRows(err) {
		return p, fmt.Errorf("%w: this account has no PBX directory", cloudlink.ErrNotFound)
	}
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(text), &p)
}

const subscriberColumns = `user_id, extension, name, email, auth_username, realm, desktop, mobile, voicemail, caller_id,
	srtp, version, hashes`

// Page returns up to limit subscribers whose id comes after the given one, in the order of ids.
func (s *Store) Page(ctx context.Context, acc account.ID, after string, limit int) ([]directory.Subscriber, error) {
	var page []directory.Subscriber
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT `+subscriberColumns+` FROM subscriber
			WHERE account_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3`, string(acc), after, limit)
		if err != nil {
			return err
		}
		page, err = s.scan(acc, rows)
		return err
	})
	return page, err
}

// User returns one subscriber, or cloudlink.ErrNotFound.
func (s *Store) User(ctx context.Context, acc account.ID, userID string) (directory.Subscriber, error) {
	if store.CheckText(userID) != nil {
		return directory.Subscriber{}, cloudlink.ErrNotFound
	}
	var found []directory.Subscriber
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT `+subscriberColumns+` FROM subscriber WHERE account_id = $1 AND user_id = $2`,
			string(acc), userID)
		if err != nil {
			return err
		}
		found, err = s.scan(acc, rows)
		return err
	})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: user %.64q", cloudlink.ErrNotFound, userID)
	}
	if err != nil {
		return directory.Subscriber{}, err
	}
	return found[0], nil
}

// ReplaceHashes gives a subscriber new hashes: the next REGISTER with the old ones fails.
func (s *Store) ReplaceHashes(ctx context.Context, acc account.ID, userID string, hashes []digest.Hash) error {
	sealed, err := s.sealHashes(acc, userID, hashes)
	if err != nil {
		return err
	}
	return s.change(ctx, acc, func(tx store.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE subscriber SET hashes = $3, version = $4 WHERE account_id = $1 AND user_id = $2`,
			string(acc), userID, sealed, account.NewID("v"))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: user %.64q", cloudlink.ErrNotFound, userID)
		}
		return err
	})
}

func (s *Store) subscriberRow(acc account.ID, sub directory.Subscriber, print account.Secret) ([]any, error) {
	if err := store.CheckText(sub.Extension, sub.Name, sub.Email, sub.AuthUsername, sub.Realm, sub.Voicemail,
		sub.CallerID); err != nil {
		return nil, err
	}
	hashes, err := s.sealHashes(acc, sub.UserID, sub.Hashes)
	if err != nil {
		return nil, err
	}
	source, err := s.sealer.Seal(sourcePlace(acc, sub.UserID), print)
	if err != nil {
		return nil, err
	}
	return []any{string(acc), sub.UserID, sub.Extension, sub.Name, sub.Email, sub.AuthUsername, sub.Realm, sub.Desktop,
		sub.Mobile, sub.Voicemail, sub.CallerID, sub.SRTP, account.NewID("v"), hashes, source}, nil
}

func (s *Store) scan(acc account.ID, rows *sql.Rows) ([]directory.Subscriber, error) {
	defer rows.Close()
	var found []directory.Subscriber
	for rows.Next() {
		var sub directory.Subscriber
		var sealed []byte
		err := rows.Scan(&sub.UserID, &sub.Extension, &sub.Name, &sub.Email, &sub.AuthUsername, &sub.Realm, &sub.Desktop,
			&sub.Mobile, &sub.Voicemail, &sub.CallerID, &sub.SRTP, &sub.Version, &sealed)
		if err != nil {
			return nil, err
		}
		if sub.Hashes, err = s.openHashes(acc, sub.UserID, sealed); err != nil {
			return nil, err
		}
		found = append(found, sub)
	}
	return found, rows.Err()
}
