package calls_test

import (
	"fmt"
	"slices"
	"testing"

	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	"demarc/store/storetest"
	"demarc/telephony"
)

// joined is a call that others came to be in, by forking, transfer or conference.
func joined(c telephony.CallChange, users ...string) telephony.CallChange {
	c.Record.Legs = slices.Clone(c.Record.Legs)
	for _, u := range users {
		c.Record.Legs = append(c.Record.Legs, telephony.LegRecord{Leg: len(c.Record.Legs) + 1, AoR: aor(u), StartedAt: c.Record.StartedAt})
	}
	return c
}

// numbers are those of a user's calls, in pages of a size.
func numbers(t *testing.T, s *calls.Store, id account.ID, user string, size int) (all []int) {
	t.Helper()
	f := telephony.CallFilter{Party: aor(user), Limit: size}
	for {
		page, next, err := s.Calls(t.Context(), id, f)
		if err != nil {
			t.Fatal(err)
		}
		if next != "" && len(page) < size {
			t.Errorf("%s: a page of %d with more behind it", user, len(page))
		}
		for _, r := range page {
			all = append(all, numberOf(t, r.ID))
		}
		if f.After = next; next == "" {
			return all
		}
	}
}

func TestWhoeverTookPartFindsTheCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		call := func(n int, from, to string, others ...string) telephony.CallChange {
			c := change(id, callID(n/3, n), to, n/3) // three in the same millisecond
			c.Record.Caller, c.Record.Legs[0].AoR = aor(from), aor(from)
			return joined(c, others...)
		}
		alone := call(6, "1005", "1006")
		alone.Record.Legs = alone.Record.Legs[:1] // nobody was to be called yet
		trunk := call(8, "1008", "1001")
		trunk.Record.Caller, trunk.Record.Legs[0].AoR = telephony.AoR{}, telephony.AoR{}
		write(t, s, ended(call(0, "1001", "1002", "1003", "1004", "1003"), 200), ended(call(1, "1003", "1001", "1003"), 200),
			ended(call(2, "1002", "1002"), 200), call(3, "1003", "1004"), ended(call(4, "1001", "1002"), 200),
			call(5, "1002", "1004", "1001"), alone, ended(trunk, 200))
		write(t, s, ended(call(3, "1003", "1004", "1001"), 200), ended(call(6, "1005", "1006", "1001"), 200))
		for user, want := range map[string][]int{
			"1001": {8, 6, 5, 4, 3, 1, 0}, "1002": {5, 4, 2, 0}, "1003": {3, 1, 0}, "1004": {5, 3, 0}, "1005": {6}, "1006": {6}, "1007": nil,
		} {
			for _, size := range []int{1, 2, 3, 100} {
				if got := numbers(t, s, id, user, size); !slices.Equal(got, want) {
					t.Errorf("%s by %d: %v, want %v", user, size, got, want)
				}
			}
		}
		if got := numbers(t, s, storetest.Account(t, db, "other.example"), "1001", 9); got != nil {
			t.Errorf("another account's 1001 finds %v", got)
		}
	})
}

// Two people may come to have the same number, and then neither may see the other's calls, nor a page with holes.
func TestNumbersOfPeopleAreNoProof(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		var want, others []int
		for n := range 9 {
			user := "1002"
			if n%3 != 0 {
				user = "1003"
				others = slices.Insert(others, 0, n)
			} else {
				want = slices.Insert(want, 0, n)
			}
			write(t, s, ended(change(id, callID(n, n), user, n), 200))
		}
		err := db.Write(t.Context(), func(tx store.Tx) error {
			n, err := tx.Exec(t.Context(), `UPDATE call SET called_key = (SELECT MIN(called_key) FROM call)`)
			if err == nil && n != 9 {
				err = fmt.Errorf("%d rows", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		found := append(numbers(t, s, id, "1002", 2), numbers(t, s, id, "1003", 2)...)
		if !slices.Equal(found, want) && !slices.Equal(found, others) { // the other's number is nobody's now
			t.Errorf("%v, want %v or %v", found, want, others)
		}
	})
}

// Support staff who look at a user without a phone see the calls that did not reach him.
func TestWhoHadNoPhoneFindsTheCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		missed := func(n int, dialled string) telephony.CallChange {
			c := ended(change(id, callID(n, n), "1002", n), 480)
			c.Record.Dialled, c.Record.Legs = dialled, c.Record.Legs[:1]
			return c
		}
		write(t, s, missed(1, "sip:"+aor("1007").String()), missed(2, "1007"), missed(3, "sip:"+aor("1008").String()))
		for user, want := range map[string][]int{"1007": {1}, "1008": {3}, "1002": nil} {
			if got := numbers(t, s, id, user, 10); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", user, got, want)
			}
		}
	})
}
