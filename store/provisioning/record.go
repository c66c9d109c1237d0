package provisioning

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"demarc/internal/account"
	rules "demarc/provisioning"
	"demarc/store"
)

// Record returns one user's record.
func (s *Store) Record(ctx context.Context, acc account.ID, id rules.UserID) (rules.Record, error) {
	var records []*rules.Record
	err := s.db.Read(ctx, func(q store.Tx) error {
		var err error
		records, err = s.load(ctx, q, acc, []rules.UserID{id}, parts{devices: true})
		return err
	})
	if err != nil {
		return rules.Record{}, err
	}
	if len(records) == 0 {
		return rules.Record{}, fmt.Errorf("user %w", rules.ErrNotFound)
	}
	records[0].Settle()
	return *records[0], nil
}

// List returns one page of records by name, and how many users there are in each state.
func (s *Store) List(ctx context.Context, acc account.ID, f rules.StatusFilter,
) (records []rules.Record, next string, counts map[rules.SyncState]int, err error) {
	name, id, err := readAfter(f.After)
	if err != nil {
		return nil, "", nil, err
	}
	states := f.States
	if len(states) == 0 {
		states = rules.States()
	}
	args := []any{"%" + escapeLike(strings.ToLower(store.CleanText(f.Search))) + "%", name, id, f.Limit + 1}
	for _, st := range states {
		args = append(args, string(st))
	}
	err = s.db.Read(ctx, func(q store.Tx) error {
		page, err := scanUsers(ctx, q, acc, `AND search LIKE $2 ESCAPE '\' AND (sort_name, user_id) > ($3, $4)
			AND state IN (`+store.Placeholders(6, len(states))+`) ORDER BY sort_name, user_id LIMIT $5`, args...)
		if err != nil {
			return err
		}
		if len(page) > f.Limit {
			page = page[:f.Limit]
			last := page[f.Limit-1].User
			next = writeAfter(last)
		}
		ids := make([]rules.UserID, len(page))
		for i, r := range page {
			ids[i] = r.User.ID
		}
		if len(ids) > 0 {
			if err := s.fill(ctx, q, acc, page, parts{devices: true}, `AND `+among(len(ids)), idArgs(ids)...); err != nil {
				return err
			}
		}
		records = make([]rules.Record, len(page))
		for i, r := range page {
			records[i] = *r
		}
		counts, err = countStates(ctx, q, acc)
		return err
	})
	return records, next, counts, err
}

func countStates(ctx context.Context, q store.Tx, acc account.ID) (map[rules.SyncState]int, error) {
	rows, err := q.Query(ctx, `SELECT state, COUNT(*) FROM integrated_user WHERE account_id = $1 GROUP BY state`,
		string(acc))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[rules.SyncState]int{}
	for rows.Next() {
		var state rules.SyncState
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		counts[state] = n
	}
	return counts, rows.Err()
}

// escapeLike takes the wildcards out of what somebody searches for.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

func writeAfter(u rules.IntegratedUser) string {
	name, _ := sortAndSearch(u)
	return base64.RawURLEncoding.EncodeToString([]byte(string(u.ID) + "\n" + name))
}

func readAfter(s string) (name, id string, err error) {
	if s == "" {
		return "", "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	id, name, ok := strings.Cut(string(raw), "\n")
	if err != nil || !ok || store.CheckText(id, name) != nil {
		return "", "", fmt.Errorf("%w: the page mark is not one of ours: start at the first page", rules.ErrInvalid)
	}
	return name, id, nil
}

// Authenticate returns the device with this token hash.
func (s *Store) Authenticate(ctx context.Context, tokenHash string) (rules.Device, error) {
	var d rules.Device
	err := s.db.Read(ctx, func(q store.Tx) (err error) {
		d, err = byToken(ctx, q, tokenHash)
		return err
	})
	return d, err
}

func byToken(ctx context.Context, q store.Tx, tokenHash string) (rules.Device, error) {
	d, err := scanDevice(q.QueryRow(ctx, `SELECT `+deviceColumns+` FROM device WHERE token_hash = $1`, tokenHash))
	if store.NoRows(err) || tokenHash == "" {
		return rules.Device{}, fmt.Errorf("device %w", rules.ErrNotFound)
	}
	return d, err
}

// Held returns what the device with this token hash is to have.
func (s *Store) Held(ctx context.Context, tokenHash string, open func(rules.Held) (bool, error)) (rules.Held, error) {
	var held rules.Held
	err := s.db.Read(ctx, func(q store.Tx) error {
		d, err := byToken(ctx, q, tokenHash)
		if err != nil {
			return err
		}
		owners, err := scanUsers(ctx, q, d.Account, `AND user_id = $2`, string(d.User))
		if err != nil || len(owners) == 0 { // a foreign key keeps the user
			return cmp.Or(err, fmt.Errorf("device %w", rules.ErrNotFound))
		}
		held = rules.Held{Device: d, User: owners[0].User}
		found, err := s.credentials(ctx, q, d.Account, func(c *rules.Credential) (bool, error) {
			held.Credential = c
			return open(held)
		}, `AND user_id = $2 AND kind = $3`, string(d.User), string(d.Kind))
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			_, err = open(held)
			return err
		}
		held.Credential = &found[0]
		return nil
	})
	return held, err
}

// owner returns the record of a device's owner; it holds the device.
func (s *Store) owner(ctx context.Context, q store.Tx, acc account.ID, id rules.DeviceID, p parts,
) (*rules.Record, error) {
	user, err := ownerID(ctx, q, acc, id)
	if err != nil {
		return nil, err
	}
	records, err := s.load(ctx, q, acc, []rules.UserID{user}, p)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || records[0].Device(id) == nil {
		return nil, fmt.Errorf("device %w", rules.ErrNotFound)
	}
	return records[0], nil
}

func ownerID(ctx context.Context, q store.Tx, acc account.ID, id rules.DeviceID) (rules.UserID, error) {
	var user rules.UserID
	err := q.QueryRow(ctx, `SELECT user_id FROM device WHERE account_id = $1 AND device_id = $2`, string(acc),
		string(id)).Scan(&user)
	if store.NoRows(err) {
		return "", fmt.Errorf("device %w", rules.ErrNotFound)
	}
	return user, err
}

// Change runs a rule over the record of a device's owner.
func (s *Store) Change(ctx context.Context, acc account.ID, id rules.DeviceID, rule func(*rules.Record) error) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		user, err := ownerID(ctx, tx, acc, id)
		if err != nil {
			return err
		}
		if err := lock(ctx, tx, acc, []rules.UserID{user}); err != nil {
			return err
		}
		r, err := s.owner(ctx, tx, acc, id, parts{devices: true})
		if err != nil {
			return err
		}
		if err := rule(r); err != nil {
			return err
		}
		return s.write(ctx, tx, []*rules.Record{r})
	})
}
