package calls_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	"demarc/store/storetest"
	"demarc/telephony"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var begin = time.UnixMilli(1_790_000_000_000).UTC()

func aor(user string) telephony.AoR { return telephony.AoR{User: user, Domain: "example.org"} }

// callID is the id of a call that began so many seconds after the first one.
func callID(second, n int) string {
	return fmt.Sprintf("%s%012x", telephony.FirstCallID(begin.Add(time.Duration(second)*time.Second)), n)
}

// change is a call from 1001 to another extension that began so many seconds after the first one.
func change(id account.ID, call string, to string, second int) telephony.CallChange {
	at := begin.Add(time.Duration(second) * time.Second)
	return telephony.CallChange{State: "state with keys", Record: telephony.CallRecord{
		Account: id, ID: telephony.CallID(call), Node: "one", Epoch: 1, State: telephony.CallTalking, Caller: aor("1001"),
		CallerName: "Ann", Dialled: to, StartedAt: at, AnsweredAt: at.Add(time.Second),
		Legs: []telephony.LegRecord{
			{Leg: 1, AoR: aor("1001"), Remote: "192.0.2.1:5060", SIPCallID: "a@b", StartedAt: at, AnsweredAt: at.Add(time.Second)},
			{Leg: 2, AoR: aor(to), Instance: "urn:uuid:1", Phone: "Desk", StartedAt: at, Media: telephony.MediaReport{
				Sent: 10, Received: 9, Lost: 1, Jitter: 3 * time.Millisecond, Security: "sdes", Codec: "opus/48000/2",
			}},
		},
	}}
}

func ended(c telephony.CallChange, code int) telephony.CallChange {
	c.State = ""
	c.Record.State = telephony.CallEnded
	c.Record.EndedAt = c.Record.StartedAt.Add(time.Minute)
	c.Record.Cause = telephony.Cause{Who: telephony.Callee, Code: code, Text: "hung up"}
	c.Record.Legs = slices.Clone(c.Record.Legs)
	for i := range min(2, len(c.Record.Legs)) { // one as its call, one by itself
		l := &c.Record.Legs[i]
		l.EndedAt, l.Cause = c.Record.EndedAt.Add(time.Duration(-i)*time.Second), telephony.Cause{Who: telephony.Callee, Code: code + i, Text: "hung up"}
	}
	return c
}

func write(t *testing.T, s *calls.Store, changes ...telephony.CallChange) {
	t.Helper()
	if _, err := s.Write(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
}

func TestACallIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		talking := change(id, "call_1", "1002", 0)
		ringing := talking
		ringing.Record.State, ringing.Record.AnsweredAt = telephony.CallRinging, time.Time{}
		write(t, s, ringing, talking)
		open, err := s.Open(t.Context(), "one")
		if err != nil || len(open) != 1 || !reflect.DeepEqual(open[0].Record, talking.Record) {
			t.Fatalf("%+v %v", open, err)
		}
		if open[0].State.Reveal() != "state with keys" {
			t.Error("the state did not come back")
		}
		write(t, s, ended(talking, 200))
		write(t, s, talking, ended(talking, 500)) // late writers
		got, err := s.Call(t.Context(), id, "call_1")
		if err != nil || !reflect.DeepEqual(got, ended(talking, 200).Record) {
			t.Errorf("%+v %v", got, err)
		}
		if open, err := s.Open(t.Context(), "one"); err != nil || len(open) != 0 {
			t.Errorf("%+v %v", open, err)
		}
		if _, err := s.Call(t.Context(), storetest.Account(t, db, "other.example"), "call_1"); !errors.Is(err, telephony.ErrNoCall) {
			t.Errorf("another account's call: %v", err)
		}
	})
}

func TestAnOlderOwnerIsFenced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		first := change(id, "call_1", "1002", 0)
		taken := first
		taken.Record.Node, taken.Record.Epoch = "two", 2
		write(t, s, first)
		write(t, s, taken)
		write(t, s, ended(first, 500))
		got, err := s.Call(t.Context(), id, "call_1")
		if err != nil || got.Node != "two" || got.State != telephony.CallTalking {
			t.Errorf("%+v %v", got, err)
		}
		same := first
		same.Record.Epoch = 2 // another node by mistake
		write(t, s, ended(same, 500))
		if got, _ := s.Call(t.Context(), id, "call_1"); got.State != telephony.CallTalking {
			t.Errorf("%+v", got)
		}
	})
}

// numberOf is n of a callID.
func numberOf(t *testing.T, id telephony.CallID) int {
	t.Helper()
	n, err := strconv.ParseInt(string(id[12:]), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

func TestPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		var all []telephony.CallChange
		for i := range 7 {
			all = append(all, ended(change(id, callID(i/2, i), fmt.Sprintf("100%d", 2+i%2), i/2), 200))
		}
		write(t, s, append(all, change(id, callID(-1, 7), "1004", -1))...)
		write(t, s, ended(change(storetest.Account(t, db, "other.example"), callID(0, 0), "1002", 0), 200))
		for name, c := range map[string]struct {
			filter telephony.CallFilter
			want   []int
		}{
			"all":          {telephony.CallFilter{}, []int{6, 5, 4, 3, 2, 1, 0, 7}},
			"one user's":   {telephony.CallFilter{Party: aor("1002")}, []int{6, 4, 2, 0}},
			"the caller's": {telephony.CallFilter{Party: aor("1001"), Since: begin.Add(3 * time.Second)}, []int{6}},
			"live":         {telephony.CallFilter{Live: true}, []int{7}},
			"nobody's":     {telephony.CallFilter{Party: aor("1009")}, nil},
		} {
			for _, limit := range []int{1, 3, 100} {
				c.filter.Limit, c.filter.After = limit, ""
				var got []int
				for {
					page, next, err := s.Calls(t.Context(), id, c.filter)
					if err != nil || len(page) > limit {
						t.Fatalf("%s: %d calls, %v", name, len(page), err)
					}
					for _, r := range page {
						got = append(got, numberOf(t, r.ID))
					}
					if c.filter.After = next; next == "" {
						break
					}
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("%s by %d: %v, want %v", name, limit, got, c.want)
				}
			}
		}
		if _, _, err := s.Calls(t.Context(), id, telephony.CallFilter{After: "x", Limit: 1}); !errors.Is(err, telephony.ErrCallCursor) {
			t.Errorf("cursor: %v", err)
		}
	})
}

// What a phone writes into its name must not lose the call.
func TestOddTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		c := change(id, "call_1", "10\x0002", 0)
		c.Record.CallerName, c.Record.Legs[0].SIPCallID, c.Record.Legs[1].Phone = "A\xffn", "\x00", "\xfe"
		write(t, s, c)
		got, err := s.Call(t.Context(), id, "call_1")
		if err != nil || got.CallerName != "A\uFFFDn" || got.Dialled != "10\uFFFD02" || len(got.Legs) != 2 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestPrune(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		old, young, lasting := callID(0, 1), callID(3600, 2), callID(0, 3)
		write(t, s, ended(joined(change(id, old, "1002", 0), "1003"), 200), ended(joined(change(id, young, "1002", 3600), "1003"), 200),
			joined(change(id, lasting, "1002", 0), "1003"), ended(change(storetest.Account(t, db, "other.example"), old, "1002", 0), 200))
		if err := s.Prune(t.Context(), store.Millis(begin.Add(30*time.Minute))); err != nil {
			t.Fatal(err)
		}
		for _, f := range []telephony.CallFilter{{Limit: 9}, {Limit: 9, Party: aor("1002")}, {Limit: 9, Party: aor("1003")}} {
			page, _, err := s.Calls(t.Context(), id, f)
			if err != nil || len(page) != 2 || page[0].ID != telephony.CallID(young) || page[1].ID != telephony.CallID(lasting) {
				t.Errorf("%+v %v", page, err)
			}
		}
		for table, want := range map[string]int{"call": 2, "call_party": 2} {
			var left int
			err := db.Read(t.Context(), func(q store.Tx) error {
				return q.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&left)
			})
			if err != nil || left != want {
				t.Errorf("%d rows of %s, %v", left, table, err)
			}
		}
	})
}
