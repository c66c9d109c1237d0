package provisioning

import (
	"context"
	"slices"

	"demarc/internal/account"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/telephony"
)

// Cursor returns how far a node's feed was applied.
func (s *Store) Cursor(ctx context.Context, node string) (int64, error) {
	var n int64
	err := s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT n FROM registration_cursor WHERE node = $1`, node).Scan(&n)
	})
	if store.NoRows(err) {
		return 0, nil
	}
	return n, err
}

// owners maps AoRs to the records of the users who have a credential for them.
type owners map[account.ID]map[telephony.AoR]*rules.Record

// Follow moves the cursor and applies the changes behind it.
func (s *Store) Follow(ctx context.Context, node string, after int64, changes []telephony.RegistrationChange,
	rule func(telephony.RegistrationChange, *rules.Record)) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := moveCursor(ctx, tx, node, after, changes[len(changes)-1].N); err != nil {
			return err
		}
		found, records, err := s.find(ctx, tx, changes)
		if err != nil {
			return err
		}
		for _, ch := range changes {
			if r := found[ch.Account][telephony.NewAoR(ch.AoR.User, ch.AoR.Domain)]; r != nil {
				rule(ch, r)
			}
		}
		return s.write(ctx, tx, records)
	})
}

func moveCursor(ctx context.Context, tx store.Tx, node string, from, to int64) error {
	if from == 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO registration_cursor (node, n) VALUES ($1, 0)
			ON CONFLICT (node) DO NOTHING`, node); err != nil {
			return err
		}
	}
	return fenced(tx.Exec(ctx, `UPDATE registration_cursor SET n = $3 WHERE node = $1 AND n = $2`, node, from, to))
}

// find locks and loads the records that the changes speak of, account by account in a fixed order.
func (s *Store) find(ctx context.Context, tx store.Tx, changes []telephony.RegistrationChange,
) (owners, []*rules.Record, error) {
	wanted := map[account.ID]map[telephony.AoR]bool{}
	for _, ch := range changes {
		if wanted[ch.Account] == nil {
			wanted[ch.Account] = map[telephony.AoR]bool{}
		}
		wanted[ch.Account][telephony.NewAoR(ch.AoR.User, ch.AoR.Domain)] = true
	}
	accounts := make([]account.ID, 0, len(wanted))
	for acc := range wanted {
		accounts = append(accounts, acc)
	}
	slices.Sort(accounts)
	found := owners{}
	var all []*rules.Record
	for _, acc := range accounts {
		records, byAoR, err := s.findIn(ctx, tx, acc, wanted[acc])
		if err != nil {
			return nil, nil, err
		}
		found[acc] = byAoR
		all = append(all, records...)
	}
	return found, all, nil
}

func (s *Store) findIn(ctx context.Context, tx store.Tx, acc account.ID, aors map[telephony.AoR]bool,
) ([]*rules.Record, map[telephony.AoR]*rules.Record, error) {
	byAoR := map[telephony.AoR]rules.UserID{}
	for aor := range aors {
		id, err := ownerOf(ctx, tx, acc, aor)
		if err == nil {
			byAoR[aor] = id
		} else if !store.NoRows(err) {
			return nil, nil, err
		}
	}
	if len(byAoR) == 0 {
		return nil, nil, nil
	}
	var ids []rules.UserID
	for _, id := range byAoR {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if err := lock(ctx, tx, acc, ids); err != nil {
		return nil, nil, err
	}
	records, err := s.load(ctx, tx, acc, ids, parts{devices: true})
	byID := map[rules.UserID]*rules.Record{}
	for _, r := range records {
		byID[r.User.ID] = r
	}
	found := map[telephony.AoR]*rules.Record{}
	for aor, id := range byAoR {
		found[aor] = byID[id]
	}
	return records, found, err
}

// ownerOf returns who has a credential of the AoR. Two users with one AoR are a mistake at the PBX; the same one is
// chosen each time.
func ownerOf(ctx context.Context, tx store.Tx, acc account.ID, aor telephony.AoR) (id rules.UserID, err error) {
	err = tx.QueryRow(ctx, `SELECT user_id FROM sip_credential
		WHERE account_id = $1 AND sip_username = $2 AND domain = $3 ORDER BY user_id LIMIT 1`,
		string(acc), store.CleanText(aor.User), store.CleanText(aor.Domain)).Scan(&id)
	return id, err
}
