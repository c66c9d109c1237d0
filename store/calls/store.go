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
	Columns: []string{"account_id", "call_id", "node", "epoch bigint", "state", "caller", "caller_name", "dialled",
		"started_at bigint", "answered_at bigint", "ended_at bigint", "cause_who", "cause_code bigint", "cause_text", "legs",
		"held bytea"},
	Key: "account_id, call_id",
	Where: "call.state <> 'ended' AND (call.epoch < excluded.epoch OR call.epoch = excluded.epoch AND " +
		"call.node = excluded.node)",
}

var partyTable = store.Table{
	Name:    "call_party",
	Columns: []string{"account_id", "aor", "call_id"},
	Key:     "account_id, aor, call_id",
	Unless:  true,
}

// Write saves changes in one transaction; of several changes of one call the last counts.
func (s *Store) Write(ctx context.Context, changes []telephony.CallChange) error {
	last := fold(changes)
	rows, parties := make([][]any, 0, len(last)), make([][]any, 0, 2*len(last))
	var legs []byte
	for _, c := range last {
		legs = appendLegs(legs[:0], c.Record.Legs)
		row, err := s.row(c, string(legs))
		if err != nil {
			return err
		}
		rows = append(rows, row)
		parties = appendParties(parties, &c.Record)
	}
	return s.db.Write(ctx, func(tx store.Tx) error {
		if err := callTable.Write(ctx, tx, s.db.Dialect(), rows); err != nil {
			return err
		}
		return partyTable.Write(ctx, tx, s.db.Dialect(), parties)
	})
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

// row returns the values of a call's columns.
func (s *Store) row(c *telephony.CallChange, legs string) ([]any, error) {
	r := &c.Record
	// A phone chooses some of these texts, and a call must not be lost for what one of them holds.
	name, dialled, why := store.CleanText(r.CallerName), store.CleanText(r.Dialled), store.CleanText(r.Cause.Text)
	held, err := []byte{}, error(nil)
	if c.State != "" && r.State != telephony.CallEnded {
		if held, err = s.sealer.Seal(aad(r.Account, r.ID), c.State); err != nil {
			return nil, fmt.Errorf("calls: %w", err)
		}
	}
	return []any{
		string(r.Account), string(r.ID), r.Node, r.Epoch, string(r.State), store.CleanText(aorText(r.Caller)), name, dialled,
		store.Millis(r.StartedAt), store.Millis(r.AnsweredAt), store.Millis(r.EndedAt), string(r.Cause.Who), int64(r.Cause.Code),
		why, legs, held,
	}, nil
}

func aad(id account.ID, call telephony.CallID) seal.AAD {
	return seal.AAD{Account: string(id), Table: "call", Column: "held", Row: string(call)}
}

// appendParties appends a row for everybody of the call.
func appendParties(rows [][]any, r *telephony.CallRecord) [][]any {
	var room [8]string
	seen := room[:0]
	add := func(aor telephony.AoR) {
		if who := store.CleanText(aorText(aor)); who != "" && !slices.Contains(seen, who) {
			seen = append(seen, who)
		}
	}
	add(r.Caller)
	for i := range r.Legs {
		add(r.Legs[i].AoR)
	}
	slices.Sort(seen)
	for _, who := range seen {
		rows = append(rows, []any{string(r.Account), who, string(r.ID)})
	}
	return rows
}
