package calls

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"demarc/internal/account"
	"demarc/store"
	"demarc/telephony"
)

const columns = `c.account_id, c.call_id, c.node, c.epoch, c.state, c.caller, c.caller_name, c.dialled, c.started_at,
	c.answered_at, c.ended_at, c.cause_who, c.cause_code, c.cause_text, c.legs, c.held`

// idBefore is how much earlier than a call's start its id may say that it began.
const idBefore = time.Minute

// Calls returns a page of calls, the one that began last first, and the cursor of the next page, empty on the last.
func (s *Store) Calls(ctx context.Context, id account.ID, f telephony.CallFilter) (page []telephony.CallRecord, next string, err error) {
	last, err := readCursor(f.After)
	if err != nil {
		return nil, "", err
	}
	first := telephony.FirstCallID(f.Since.Add(-idBefore))
	from, at, where := "call c", "c", "c.account_id = $1"
	args := []any{string(id), string(first), last, store.Millis(f.Since), f.Limit + 1}
	if !f.Party.IsZero() {
		from, at = "call_party p JOIN call c ON c.account_id = p.account_id AND c.call_id = p.call_id", "p"
		where = "p.account_id = $1 AND p.aor = $6"
		args = append(args, f.Party.String())
	}
	if f.Live {
		where += " AND c.state <> 'ended'"
	}
	query := fmt.Sprintf(`SELECT %s FROM %s WHERE %s AND %[4]s.call_id >= $2 AND %[4]s.call_id < $3 AND c.started_at >= $4
		ORDER BY %[4]s.call_id DESC LIMIT $5`, columns, from, where, at)
	found, err := s.read(ctx, query, args...)
	if err != nil {
		return nil, "", err
	}
	for i, c := range found {
		if i == f.Limit {
			return page, string(page[i-1].ID), nil
		}
		page = append(page, c.record)
	}
	return page, "", nil
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

// Open returns the calls that a node had and nobody has ended, with their state. A state that does not open is left out:
// the call can be closed all the same.
func (s *Store) Open(ctx context.Context, node string) ([]telephony.CallChange, error) {
	found, err := s.read(ctx, `SELECT `+columns+` FROM call c WHERE c.node = $1 AND c.state <> 'ended'
		ORDER BY c.started_at, c.call_id`, node)
	if err != nil {
		return nil, err
	}
	all := make([]telephony.CallChange, len(found))
	for i, c := range found {
		all[i].Record = c.record
		if len(c.held) > 0 {
			all[i].State, _ = s.sealer.Open(aad(c.record.Account, c.record.ID), c.held)
		}
	}
	return all, nil
}

// row is one call as it was read.
type row struct {
	record telephony.CallRecord
	held   []byte
}

func (s *Store) read(ctx context.Context, query string, args ...any) ([]row, error) {
	var all []row
	err := s.db.Read(ctx, func(q store.Tx) error {
		all = nil
		rows, err := q.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scan(rows)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	return all, err
}

func scan(rows *sql.Rows) (row, error) {
	var r row
	var caller, legs string
	var started, answered, ended int64
	c := &r.record
	err := rows.Scan((*string)(&c.Account), (*string)(&c.ID), &c.Node, &c.Epoch, (*string)(&c.State), &caller, &c.CallerName,
		&c.Dialled, &started, &answered, &ended, (*string)(&c.Cause.Who), &c.Cause.Code, &c.Cause.Text, &legs, &r.held)
	if err != nil {
		return r, err
	}
	c.Caller = readAoR(caller)
	c.StartedAt, c.AnsweredAt, c.EndedAt = store.Time(started), store.Time(answered), store.Time(ended)
	var told []legRow
	if err := json.Unmarshal([]byte(legs), &told); err != nil {
		return r, fmt.Errorf("call %s: %w", c.ID, err)
	}
	for _, l := range told {
		leg, err := l.record()
		if err != nil {
			return r, fmt.Errorf("call %s: leg %d: %w", c.ID, l.Leg, err)
		}
		c.Legs = append(c.Legs, leg)
	}
	return r, nil
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
