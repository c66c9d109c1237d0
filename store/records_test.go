package store_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	"demarc/telephony"
)

// over and lasting are two calls of before.
const (
	over    = "01a0c4506c01000000000001"
	lasting = "01a0c4506d00000000000002"
)

// asBefore writes two calls as they were written before a call had its record in one text.
func asBefore(t *testing.T, db *store.DB) {
	t.Helper()
	err := db.Write(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO call (account_id, call_id, node, epoch, state, caller, caller_name, dialled,
			started_at, answered_at, ended_at, cause_who, cause_code, cause_text, legs, held)
			VALUES ('a', $1, 'one', 2, 'ended', '1@x', 'A "n" ü', '2', 1790000000001, 1790000000002, 1790000000003, 'callee',
				200, 'hung up', '[{"leg":1,"aor":"1@x","remote":"192.0.2.1:5060"},{"leg":2,"aor":"2@x","media":{"sent":7,"jitter":5}}]', ''),
			('a', $2, 'one', 1, 'talking', '2@x', '', '1', 1790000000256, 1790000000300, 0, '', 0, '',
				'[{"leg":1,"aor":"2@x"},{"leg":2,"aor":"1@x"},{"leg":3,"aor":"3@x"}]', '')`, over, lasting)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `INSERT INTO call_party (account_id, aor, call_id) VALUES ('a', '1@x', $1), ('a', '2@x', $1),
			('a', '1@x', $2), ('a', '2@x', $2), ('a', '3@x', $2)`, over, lasting)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func person(user string) telephony.AoR { return telephony.AoR{User: user, Domain: "x"} }

// at is a time near the calls of before.
func at(ms int64) time.Time { return time.UnixMilli(1_790_000_000_000 + ms).UTC() }

// everybodyFinds asks for the calls of all who took part in those of before.
func everybodyFinds(t *testing.T, s *calls.Store) {
	t.Helper()
	for user, want := range map[string][]telephony.CallID{"1": {lasting, over}, "2": {lasting, over}, "3": {lasting}, "4": nil} {
		page, _, err := s.Calls(t.Context(), "a", telephony.CallFilter{Party: person(user), Limit: 9, Since: at(0)})
		var got []telephony.CallID
		for _, c := range page {
			got = append(got, c.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s finds %v, %v, want %v", user, got, err, want)
		}
	}
}

// Calls of before are found by whoever took part, say what they said, and end as others do.
func TestCallsOfBeforeAreKept(t *testing.T) {
	upgraded(t, 28, asBefore, func(t *testing.T, db *store.DB) {
		s := calls.New(db, sealtest.New(t))
		want := telephony.CallRecord{Account: "a", ID: over, Node: "one", Epoch: 2, State: telephony.CallEnded, Caller: person("1"),
			CallerName: "A \"n\" ü", Dialled: "2", StartedAt: at(1), AnsweredAt: at(2), EndedAt: at(3),
			Cause: telephony.Cause{Who: telephony.Callee, Code: 200, Text: "hung up"},
			Legs: []telephony.LegRecord{{Leg: 1, AoR: person("1"), Remote: "192.0.2.1:5060"},
				{Leg: 2, AoR: person("2"), Media: telephony.MediaReport{Sent: 7, Jitter: 5 * time.Microsecond}}}}
		if got, err := s.Call(t.Context(), "a", over); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v\nwant %+v", got, err, want)
		}
		everybodyFinds(t, s)
		open, err := s.Open(t.Context(), "one")
		if err != nil || len(open) != 1 || open[0].Record.ID != lasting || len(open[0].Record.Legs) != 3 {
			t.Fatalf("%+v, %v", open, err)
		}
		end := open[0]
		end.Record.State, end.Record.EndedAt = telephony.CallEnded, at(9999)
		if _, err := s.Write(t.Context(), []telephony.CallChange{end}); err != nil {
			t.Fatal(err)
		}
		everybodyFinds(t, s)
		if err := s.Prune(t.Context(), store.Millis(at(1_000_000))); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"call", "call_party"} {
			var left int
			if err := db.Read(t.Context(), func(q store.Tx) error {
				return q.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&left)
			}); err != nil || left != 0 {
				t.Errorf("%d rows of %s, %v", left, table, err)
			}
		}
	})
}
