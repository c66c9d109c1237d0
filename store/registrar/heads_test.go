package registrar_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	storeregistrar "demarc/store/registrar"
	"demarc/store/storetest"
	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// PostgreSQL commits a batch, and the connection is gone before it says so. Who saves it again, with what has come since and without what
// was dropped, has told everything once, in order and without gaps.
func TestALostAnswerTellsNothingTwice(t *testing.T) {
	db, wire := storetest.Swallowing(t)
	acc := storetest.Account(t, db, "pbx.example.org")
	s := storeregistrar.New(db, sealtest.New(t))
	tell := func(users ...string) registrar.Batch {
		b := registrar.Batch{Node: "n1"}
		for _, u := range users {
			put := binding(acc, u, "uri:a")
			put.Contact = "sip:" + u + "@192.0.2.1"
			b.Put = append(b.Put, put)
			b.Changes = append(b.Changes, change(acc, u, telephony.BindingRegistered))
		}
		return b
	}
	var want []string
	told := func() {
		t.Helper()
		var got []string
		for i, c := range must(s.Since(t.Context(), "n1", 0, 1000))(t) {
			got = append(got, c.AoR.User)
			if c.N != int64(i+1) {
				t.Fatalf("change %d has the number %d", i+1, c.N)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("the feed tells of %v, want %v", got, want)
		}
	}
	save(t, s, tell("1001", "1002"))
	want = append(want, "1001", "1002")
	for i, again := range []struct{ lost, next registrar.Batch }{
		{tell("1003", "1004"), tell("1003", "1004")},         // the same again
		{tell("1005", "1006"), tell("1005", "1006", "1007")}, // and what has come since
		{tell("1008", "1009"), tell("1009", "1010")},         // without one that was answered with 503
		{tell("1011"), tell("1012")},                         // another one
		{tell("1013", "1013"), tell("1013", "1013", "1013")}, // the same happened twice, and a third time
	} {
		wire.Swallow("sip:" + again.lost.Put[0].AoR.User + "@192.0.2.1")
		if err := s.Save(t.Context(), again.lost); !errors.Is(err, registrar.ErrStoreAway) {
			t.Fatalf("%d: the answer was not lost: %v", i, err)
		}
		save(t, s, again.next)
	}
	if wire.Lost() != 5 {
		t.Fatalf("%d answers were lost", wire.Lost())
	}
	want = append(want, "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012", "1013", "1013", "1013")
	told()

	// Somebody else's transaction in this node's name, as one of its last life that comes late.
	save(t, storeregistrar.New(db, sealtest.New(t)), tell("1020"))
	save(t, s, tell("1021"))
	want = append(want, "1020", "1021")
	told()
	prune(t, s, start.Add(time.Minute))
	save(t, s, tell("1022"))
	left := must(s.Since(t.Context(), "n1", 0, 1000))(t)
	if len(left) != 1 || left[0].N != int64(len(want)+1) {
		t.Errorf("after pruning: %+v", left)
	}
}

// A transaction that ends connections of a dead node is committed, and nobody hears of it: they are told as gone once.
func TestALostAnswerStrandsOnce(t *testing.T) {
	db, wire := storetest.Swallowing(t)
	acc := storetest.Account(t, db, "pbx.example.org")
	s := storeregistrar.New(db, sealtest.New(t))
	save(t, s, registrar.Batch{Node: "n1", Changes: []telephony.RegistrationChange{change(acc, "1000", telephony.BindingRegistered)}})
	var dead []registration.Binding
	for i := range 5 {
		b := binding(acc, fmt.Sprint(1001+i), "uri:a")
		b.Node = "dead"
		dead = append(dead, b)
	}
	save(t, s, registrar.Batch{Node: "dead", Put: dead})
	strand := func() ([]telephony.AoR, error) {
		return s.Strand(t.Context(), "dead", "n1", 3, func(b registration.Binding) telephony.RegistrationChange {
			return change(acc, b.AoR.User, telephony.BindingFlowClosed)
		})
	}
	wire.Swallow("commit")
	if _, err := strand(); !errors.Is(err, registrar.ErrStoreAway) {
		t.Fatalf("the answer was not lost: %v", err)
	}
	if left, err := strand(); err != nil || len(left) != 2 {
		t.Fatalf("%v %v", left, err)
	}
	save(t, s, registrar.Batch{Node: "n1", Changes: []telephony.RegistrationChange{change(acc, "1009", telephony.BindingRegistered)}})
	seen := map[string]int{}
	for _, c := range must(s.Since(t.Context(), "n1", 0, 1000))(t) {
		seen[c.AoR.User]++
	}
	for user, n := range seen {
		if n != 1 {
			t.Errorf("%s is told of %d times", user, n)
		}
	}
	if len(seen) != 7 {
		t.Errorf("%v", seen)
	}
}
