package calls

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/store"
	"demarc/telephony"
)

// Store implements the history of the exchange and of the API.
type Store struct {
	db     *store.DB
	sealer *seal.Sealer
}

// New returns a Store on an open, migrated database.
func New(db *store.DB, sealer *seal.Sealer) *Store { return &Store{db: db, sealer: sealer} }

var callTable = store.Table{
	Name: "call",
	Columns: []string{"account_id", "call_id", "node", "epoch bigint", "state", "begun bigint", "ended_at bigint",
		"caller_key bigint", "called_key bigint", "record", "held bytea"},
	Key:  "account_id, call_id",
	Once: "begun, caller_key",
	Where: "call.state <> 'ended' AND (call.epoch < excluded.epoch OR call.epoch = excluded.epoch AND " +
		"call.node = excluded.node)",
}

var partyTable = store.Table{
	Name:    "call_party",
	Columns: []string{"account_id", "aor", "call_id"},
	Key:     "account_id, aor, call_id",
	Unless:  true,
}

// Write saves changes in one transaction; of several changes of one call the last counts. It returns how many calls another node has
// taken into a later epoch meanwhile: they stay as they are.
func (s *Store) Write(ctx context.Context, changes []telephony.CallChange) (fenced int, err error) {
	w, err := s.rows(changes)
	if err != nil {
		return 0, err
	}
	err = s.db.Write(ctx, func(tx store.Tx) (err error) {
		fenced, err = w.write(ctx, tx, s.db.Dialect())
		return err
	})
	return fenced, err
}

// written are the rows of changes.
type written struct{ calls, third [][]any }

func (s *Store) rows(changes []telephony.CallChange) (w written, err error) {
	last := fold(changes)
	w.calls = make([][]any, 0, len(last))
	values := make([]any, 0, len(last)*len(callTable.Columns)) // of all rows
	people := newPeople()
	var record []byte
	for _, c := range last {
		record = appendRecord(record[:0], &c.Record)
		first := len(values)
		if values, err = s.appendRow(values, c, string(record), people); err != nil {
			return w, err
		}
		w.calls = append(w.calls, values[first:len(values):len(values)])
		w.third = appendThird(w.third, &c.Record)
	}
	return w, nil
}

func (w *written) write(ctx context.Context, tx store.Tx, dialect store.Dialect) (fenced int, err error) {
	if dialect == store.PostgreSQL && len(w.calls) > 0 {
		query, args := callTable.Batch(w.calls)
		changed, err := tx.Exec(ctx, query, args...)
		if err == nil && changed < int64(len(w.calls)) {
			fenced, err = w.fenced(ctx, tx)
		}
		if err != nil {
			return 0, err
		}
	} else if err := callTable.Write(ctx, tx, dialect, w.calls); err != nil { // where there is one node nobody is fenced
		return 0, err
	}
	return fenced, partyTable.Write(ctx, tx, dialect, w.third)
}

// fenced counts the calls that are in a later epoch. Others were left alone because they were written before.
func (w *written) fenced(ctx context.Context, tx store.Tx) (n int, err error) {
	const account, call, epoch = 0, 1, 3 // of callTable.Columns
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (account_id, call_id, epoch)
		JOIN call c ON c.account_id = u.account_id AND c.call_id = u.call_id WHERE c.epoch > u.epoch`, store.Column[string](w.calls, account),
		store.Column[string](w.calls, call), store.Column[int64](w.calls, epoch)).Scan(&n)
	return n, err
}

// fold returns the last change of each call, in the order of keys: two writers never wait for each other in a circle.
func fold(changes []telephony.CallChange) []*telephony.CallChange {
	all := make([]*telephony.CallChange, len(changes))
	for i := range changes {
		all[i] = &changes[i]
	}
	slices.SortStableFunc(all, compare)
	kept := all[:0]
	for i, c := range all {
		if i+1 == len(all) || compare(c, all[i+1]) != 0 {
			kept = append(kept, c)
		}
	}
	return kept
}

func compare(a, b *telephony.CallChange) int {
	return cmp.Or(cmp.Compare(a.Record.Account, b.Record.Account), cmp.Compare(a.Record.ID, b.Record.ID))
}

// appendRow appends the values of a call's columns.
func (s *Store) appendRow(row []any, c *telephony.CallChange, record string, people *people) ([]any, error) {
	r := &c.Record
	held, err := []byte{}, error(nil)
	if c.State != "" && r.State != telephony.CallEnded {
		if held, err = s.sealer.Seal(aad(r.Account, r.ID), c.State); err != nil {
			return nil, fmt.Errorf("calls: %w", err)
		}
	}
	return append(row,
		string(r.Account), string(r.ID), r.Node, r.Epoch, string(r.State), begun(r.ID), store.Millis(r.EndedAt),
		people.key(r.Account, r.Caller), people.key(r.Account, firstCalled(r)), record, held,
	), nil
}

func aad(id account.ID, call telephony.CallID) seal.AAD {
	return seal.AAD{Account: string(id), Table: "call", Column: "held", Row: string(call)}
}
