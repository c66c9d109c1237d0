package calls

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"demarc/internal/account"
	"demarc/store"
	"demarc/telephony"
)

const columns = `c.account_id, c.call_id, c.node, c.epoch, c.state, c.ended_at, c.record, c.held`

// idBefore is how much earlier than a call's start its id may say that it began.
const idBefore = time.Minute

// Calls returns a page of calls, the one that began last first, and the cursor of the next page, empty on the last.
func (s *Store) Calls(ctx context.Context, id account.ID, f telephony.CallFilter) (page []telephony.CallRecord, next string, err error) {
	last, err := readCursor(f.After)
	if err != nil {
		return nil, "", err
	}
	f.Party = telephony.AoR{User: store.CleanText(f.Party.User), Domain: store.CleanText(f.Party.Domain)} // as it was written
	for {
		want := f.Limit + 1 - len(page)
		found, err := s.list(ctx, id, &f, last, want)
		if err != nil {
			return nil, "", err
		}
		for _, c := range found {
			last = string(c.record.ID)
			if c.record.StartedAt.Before(f.Since) || !f.Party.IsZero() && !tookPart(&c.record, f.Party) {
				continue // the database knows numbers for both
			}
			if len(page) == f.Limit {
				return page, string(page[f.Limit-1].ID), nil
			}
			page = append(page, c.record)
		}
		if len(found) < want {
			return page, "", nil
		}
	}
}

// list reads calls before one, the newest first.
func (s *Store) list(ctx context.Context, id account.ID, f *telephony.CallFilter, last string, limit int) ([]row, error) {
	first := telephony.FirstCallID(f.Since.Add(-idBefore))
	args := []any{string(id), string(first), last, limit}
	if !f.Party.IsZero() {
		args = append(args, newPeople().key(id, f.Party), begun(first), begun(telephony.CallID(last)), f.Party.String())
	}
	return s.read(ctx, listQuery(f), args...)
}

// listQuery asks for calls of account $1 with ids from $2 to before $3, the newest $4 of them; of a user with number $5 and AoR $8,
// begun from $6 to $7, which says the same as the ids.
func listQuery(f *telephony.CallFilter) string {
	live := ""
	if f.Live {
		live = " AND c.state <> 'ended'"
	}
	which := "c.call_id >= $2 AND c.call_id < $3" + live
	if !f.Party.IsZero() {
		which = "c.call_id IN (" + byParty(live) + ")"
	}
	return `SELECT ` + columns + ` FROM call c WHERE c.account_id = $1 AND ` + which + ` ORDER BY c.call_id DESC LIMIT $4`
}

// byParty asks for the newest calls that somebody called in, was called in, or came to be in. Each part reads its own index in
// order, no further than it must.
func byParty(live string) string {
	const part = `SELECT call_id FROM (SELECT c.call_id FROM call c WHERE c.%[1]s = $5 AND c.%[1]s <> 0 AND c.begun BETWEEN $6 AND $7
		AND c.call_id < $3%[2]s ORDER BY c.begun DESC, c.call_id DESC LIMIT $4) %[1]s`
	return fmt.Sprintf(part, "caller_key", live) + " UNION " + fmt.Sprintf(part, "called_key", live) +
		` UNION SELECT call_id FROM (SELECT p.call_id FROM call_party p
		JOIN call c ON c.account_id = p.account_id AND c.call_id = p.call_id WHERE p.account_id = $1 AND p.aor = $8
		AND p.call_id >= $2 AND p.call_id < $3` + live + ` ORDER BY p.call_id DESC LIMIT $4) third`
}

// Call returns one call, or telephony.ErrNoCall.
func (s *Store) Call(ctx context.Context, id account.ID, call telephony.CallID) (telephony.CallRecord, error) {
	found, err := s.read(ctx, `SELECT `+columns+` FROM call c WHERE c.account_id = $1 AND c.call_id = $2`, string(id),
		string(call))
	if err != nil {
		return telephony.CallRecord{}, err
	}
	if len(found) == 0 {
		return telephony.CallRecord{}, telephony.ErrNoCall
	}
	return found[0].record, nil
}

// Open returns the calls that a node had and nobody has ended, with their state. On SQLite, where there is one process, those of any
// other name are its own from before it was renamed. A state that does not open is left out: the call can be closed all the same.
func (s *Store) Open(ctx context.Context, node string) ([]telephony.CallChange, error) {
	const open, order = `SELECT ` + columns + ` FROM call c WHERE c.state <> 'ended'`, ` ORDER BY c.begun, c.call_id`
	query, args := open+` AND c.node = $1`+order, []any{node}
	if s.db.Dialect() == store.SQLite {
		query, args = open+order, nil
	}
	found, err := s.read(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	all := make([]telephony.CallChange, len(found))
	for i, c := range found {
		all[i].Record, all[i].State = c.record, s.state(&c)
	}
	return all, nil
}

// state is what was kept of a call; nothing where that does not open.
func (s *Store) state(r *row) account.Secret {
	if len(r.held) == 0 {
		return ""
	}
	state, _ := s.sealer.Open(aad(r.record.Account, r.record.ID), r.held)
	return state
}

// row is one call as it was read.
type row struct {
	record telephony.CallRecord
	held   []byte
}

func (s *Store) read(ctx context.Context, query string, args ...any) (all []row, err error) {
	err = s.db.Read(ctx, func(q store.Tx) error {
		all, err = readRows(ctx, q, query, args...)
		return err
	})
	return all, err
}

// readRows runs a query of columns.
func readRows(ctx context.Context, q store.Tx, query string, args ...any) (all []row, err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scan(rows *sql.Rows) (row, error) {
	var r row
	var record string
	var ended int64
	c := &r.record
	err := rows.Scan((*string)(&c.Account), (*string)(&c.ID), &c.Node, &c.Epoch, (*string)(&c.State), &ended, &record, &r.held)
	if err != nil {
		return r, err
	}
	c.EndedAt = store.Time(ended)
	return r, readRecord(record, c)
}

// endOfIDs is more than every call's id.
const endOfIDs = "g"

// readCursor returns the id of the last call that was told.
func readCursor(text string) (last string, err error) {
	if text == "" {
		return endOfIDs, nil
	}
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", telephony.ErrCallCursor
		}
	}
	return text, nil
}
