package calls_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	storeregistrar "demarc/store/registrar"
	"demarc/store/storetest"
	"demarc/telephony"
)

var nodeLost = telephony.Cause{Who: telephony.Network, Code: 500, Text: "node lost"}

func lost(r telephony.CallRecord) telephony.CallRecord {
	r.State, r.EndedAt, r.Cause = telephony.CallEnded, begin.Add(time.Hour), nodeLost
	return r
}

// twoStores are what two processes have of one PostgreSQL.
func twoStores(t *testing.T) (db *store.DB, a, b *calls.Store) {
	t.Helper()
	url := storetest.PostgreSQLURL(t)
	var all [2]*store.DB
	for i := range all {
		one, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = one.Close() })
		all[i] = one
	}
	sealer := sealtest.New(t)
	return all[0], calls.New(all[0], sealer), calls.New(all[1], sealer)
}

// The calls of a node that is gone are ended in batches, and then nobody can write them; who comes back finds none of them, and its own
// word comes too late.
func TestOrphansEndOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		const n = 25
		var all []telephony.CallChange
		for i := range n {
			all = append(all, change(id, callID(i, i), "1002", i))
		}
		own := change(id, callID(99, 99), "1002", 99)
		own.Record.Node = "two"
		write(t, s, append(slices.Clone(all), own)...)
		write(t, s, ended(all[0], 200)) // by itself, before it was gone

		if signs, err := s.Holders(t.Context()); err != nil || !reflect.DeepEqual(signs, map[string]int64{"one": 0, "two": 0}) {
			t.Fatalf("%v %v", signs, err)
		}
		for _, want := range []int{10, 10, 4, 0} {
			got, err := s.End(t.Context(), "one", 0, 10, lost)
			if err != nil || len(got) != want {
				t.Fatalf("%d calls, want %d: %v", len(got), want, err)
			}
			for _, c := range got {
				if r := c.Record; r.Node != "one" || r.Epoch != 2 || r.Cause != nodeLost || c.State != "state with keys" {
					t.Errorf("%+v, with a state of %d bytes", r, len(c.State))
				}
			}
		}
		if signs, err := s.Holders(t.Context()); err != nil || !reflect.DeepEqual(signs, map[string]int64{"two": 0}) {
			t.Errorf("%v %v", signs, err)
		}

		fenced, err := s.Write(t.Context(), []telephony.CallChange{ended(all[0], 500), ended(all[1], 200), all[2]})
		if err != nil {
			t.Fatal(err)
		}
		if want := 2; db.Dialect() == store.PostgreSQL && fenced != want { // not the one that has only been written before
			t.Errorf("%d calls were told to be another's, want %d", fenced, want)
		}
		for i, want := range []telephony.Cause{{Who: telephony.Callee, Code: 200, Text: "hung up"}, nodeLost, nodeLost} {
			got, err := s.Call(t.Context(), id, all[i].Record.ID)
			if err != nil || got.State != telephony.CallEnded || got.Cause != want {
				t.Errorf("call %d: %+v %v", i, got, err)
			}
		}
		page, _, err := s.Calls(t.Context(), id, telephony.CallFilter{Live: true, Limit: 9})
		if err != nil || len(page) != 1 || page[0].Node != "two" {
			t.Errorf("%+v %v", page, err)
		}
	})
}

// A node that has said something since is left alone.
func TestANodeThatSpeaksKeepsItsCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		sealer := sealtest.New(t)
		s, id := calls.New(db, sealer), storetest.Account(t, db, "example.org")
		write(t, s, change(id, callID(0, 0), "1002", 0))
		node := storeregistrar.New(db, sealer)
		said := begin
		for range 2 {
			if err := node.Announce(t.Context(), "one", "192.0.2.1:5071", said); err != nil {
				t.Fatal(err)
			}
			said = said.Add(5 * time.Second)
		}
		signs, err := s.Holders(t.Context())
		if want := store.Millis(begin.Add(5 * time.Second)); err != nil || signs["one"] != want {
			t.Fatalf("%v %v", signs, err)
		}
		for _, before := range []int64{0, store.Millis(begin)} {
			if got, err := s.End(t.Context(), "one", before, 10, lost); err != nil || len(got) != 0 {
				t.Errorf("%+v %v", got, err)
			}
		}
		if got, err := s.End(t.Context(), "one", signs["one"], 10, lost); err != nil || len(got) != 1 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// Two nodes that are left end the calls of a third at the same time, while that one comes back and writes its own ends: each call ends
// once, by whoever was first.
func TestNodesEndOrphansTogether(t *testing.T) {
	db, a, b := twoStores(t)
	id := storetest.Account(t, db, "example.org")
	const n = 400
	var all []telephony.CallChange
	for i := range n {
		all = append(all, change(id, callID(i, i), "1002", i))
	}
	write(t, a, all...)
	var mu sync.Mutex
	by := map[telephony.CallID]int{}
	var running sync.WaitGroup
	for _, s := range []*calls.Store{a, b} {
		running.Go(func() {
			for {
				got, err := s.End(t.Context(), "one", 0, 7, lost)
				if err != nil {
					t.Error(err)
				}
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, c := range got {
					by[c.Record.ID]++
				}
				mu.Unlock()
			}
		})
	}
	fenced := 0
	running.Go(func() {
		for i := range all {
			n, err := b.Write(t.Context(), []telephony.CallChange{ended(all[n-1-i], 200)})
			if err != nil {
				t.Error(err)
			}
			fenced += n
		}
	})
	running.Wait()
	if left, err := a.End(t.Context(), "one", 0, n, lost); err != nil || len(left) != 0 {
		t.Errorf("nobody has ended %+v %v", left, err)
	}
	if fenced != len(by) {
		t.Errorf("the node was told that %d of its calls are another's, and %d are", fenced, len(by))
	}
	for _, c := range all {
		got, err := a.Call(t.Context(), id, c.Record.ID)
		if err != nil || got.State != telephony.CallEnded || (got.Cause == nodeLost) != (by[got.ID] == 1) || by[got.ID] > 1 {
			t.Errorf("%d times: %+v %v", by[got.ID], got, err)
		}
	}
}

// On SQLite a node that was renamed takes the calls of its old name.
func TestARenamedNodesCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		write(t, s, change(id, callID(0, 0), "1002", 0))
		open, err := s.Open(t.Context(), "new name")
		if err != nil || len(open) == 1 != (db.Dialect() == store.SQLite) {
			t.Fatalf("%+v %v", open, err)
		}
		if len(open) == 0 {
			return // another process may have the name
		}
		taken := ended(open[0], 500)
		taken.Record.Node, taken.Record.Epoch = "new name", taken.Record.Epoch+1
		write(t, s, taken)
		if got, err := s.Call(t.Context(), id, taken.Record.ID); err != nil || got.State != telephony.CallEnded || got.Node != "new name" {
			t.Errorf("%+v %v", got, err)
		}
	})
}
