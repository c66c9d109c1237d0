package registrar_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	storeregistrar "demarc/store/registrar"
	"demarc/store/storetest"
	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// Two nodes on one database: each knows the other's bindings, a phone that moves has one, and either may end it.
func TestNodesKnowEachOthersBindings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		d := subscribers(acc, 1)
		replace(t, s, acc, d, storeregistrar.Replaced{Added: 1})
		hash := d.Subscribers[0].Hashes[0]
		one, two := node(t, db, s, "n1"), node(t, db, s, "n2")
		aor := telephony.NewAoR("1001", "pbx.example.org")
		at := func(r *registrar.Registrar, name string) func() bool {
			return func() bool {
				found := r.Lookup(t.Context(), aor)
				return len(found) == 1 && len(found[0].Flows) == 1 && found[0].Flows[0].Node == name
			}
		}
		mustRegister(t, one, hash, 1)
		eventually(t, "n2 knows n1's binding", at(two, "n1"))
		mustRegister(t, two, hash, 1) // the phone came to the other node
		eventually(t, "n1 knows that the phone moved", at(one, "n2"))
		if got := load(t, s, "n1"); len(got) != 0 {
			t.Errorf("n1 still has %+v", got)
		}
		one.FlowClosed(telephony.Flow{ID: 1, Transport: telephony.TLS}) // its old connection
		mustRegister(t, one, hash, 2)
		eventually(t, "n2 knows that the phone is back", at(two, "n1"))
		two.FlowClosed(telephony.Flow{ID: 2, Transport: telephony.TLS}) // its own flow of that number
		one.FlowClosed(telephony.Flow{ID: 2, Transport: telephony.TLS})
		eventually(t, "both know that the flow closed", func() bool {
			return len(one.Lookup(t.Context(), aor)) == 0 && len(two.Lookup(t.Context(), aor)) == 0
		})
		for _, c := range must(s.Since(t.Context(), "n2", 0, 100))(t) {
			if c.Kind != telephony.BindingRegistered {
				t.Errorf("n2 told of %s, which was not its to tell", c.Kind)
			}
		}
		third := node(t, db, s, "n3") // starts later
		if got := third.Bindings(aor); len(got) != 1 || got[0].Node != "n1" || got[0].Reachable {
			t.Errorf("a new node knows %+v", got)
		}
	})
}

// The connections of a dead node end once, whoever of the others are at it, and what has come to another node stays.
func TestConnectionsOfADeadNodeEndOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const phones = 90
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		var all []registration.Binding
		for i := range phones {
			b := binding(acc, fmt.Sprint(1000+i), "uri:a")
			b.Node, b.Flow.Transport = "dead", telephony.TLS
			switch i % 9 {
			case 0:
				b.Flow.Transport = telephony.UDP
			case 1:
				b.Node = "alive"
			case 2:
				b.Path = "<sip:proxy;lr>"
			}
			all = append(all, b)
		}
		save(t, s, registrar.Batch{Node: "dead", Put: all, Changes: []telephony.RegistrationChange{{Account: acc, At: start, Kind: "registered"}}})
		told := func(b registration.Binding) telephony.RegistrationChange {
			if b.Reachable {
				t.Error("it is told of while it is reachable")
			}
			return telephony.RegistrationChange{Account: b.Account, At: start, Kind: telephony.BindingFlowClosed, AoR: b.AoR, Text: "gone"}
		}
		var working sync.WaitGroup
		for _, by := range []string{"n1", "n2", "n3"} {
			working.Go(func() {
				for {
					aors, err := s.Strand(t.Context(), "dead", by, 7, told)
					if err != nil {
						t.Error(err)
					}
					if err != nil || len(aors) == 0 {
						return
					}
				}
			})
		}
		working.Wait()
		ended := map[telephony.AoR]int{}
		for _, by := range []string{"n1", "n2", "n3"} {
			for i, c := range must(s.Since(t.Context(), by, 0, phones))(t) {
				if ended[c.AoR]++; c.N != int64(i+1) || c.Text != "gone" {
					t.Errorf("%+v", c)
				}
			}
		}
		for i, b := range all {
			now := must(s.Of(t.Context(), []telephony.AoR{b.AoR}))(t)
			want := 0
			if i%9 > 2 {
				want = 1
			}
			if ended[b.AoR] != want || len(now) != 1 || now[0].Reachable != (want == 0) {
				t.Errorf("phone %d ended %d times, and is %+v", i, ended[b.AoR], now)
			}
		}
	})
}

// Who has told of anything and has announced itself has a sign, which changes when it does so again; who has stopped has none.
func TestSignsOfNodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		for _, name := range []string{"n1", "n2"} {
			save(t, s, registrar.Batch{Node: name, Changes: []telephony.RegistrationChange{{Account: acc, At: start, Kind: "registered"}}})
		}
		for i, want := range []map[string]int64{{"n1": 0, "n2": 0}, {"n1": start.UnixMilli(), "n2": 0},
			{"n1": start.Add(time.Second).UnixMilli(), "n2": 0}, {"n1": 0, "n2": 0}} {
			if got := must(s.Signs(t.Context()))(t); !maps.Equal(got, want) {
				t.Errorf("%d: %v, want %v", i, got, want)
			}
			var err error
			if i < 2 {
				err = s.Announce(t.Context(), "n1", "10.0.0.1:5062", start.Add(time.Duration(i)*time.Second))
			} else {
				err = s.Withdraw(t.Context(), "n1")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// node starts a registrar. On PostgreSQL it learns of the others by hints alone.
func node(t *testing.T, db *store.DB, s *storeregistrar.Store, name string) *registrar.Registrar {
	t.Helper()
	peers := storeregistrar.NewPeers(s)
	if db.Dialect() == store.PostgreSQL {
		peers.PollEvery(time.Hour)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = peers.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return started(t, registrar.Config{Node: name, Directory: s, Bindings: s, Feed: peers, Tick: 10 * time.Millisecond})
}

// started is a registrar that runs until the test ends.
func started(t *testing.T, c registrar.Config) *registrar.Registrar {
	t.Helper()
	r := registrar.New(c)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func mustRegister(t *testing.T, r *registrar.Registrar, h digest.Hash, flow uint64) {
	t.Helper()
	if got := register(t, r, h, flow); got.Status != 200 || len(got.Bindings) != 1 {
		t.Fatalf("%+v", got)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestNodeAddresses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := storeregistrar.New(db, sealtest.New(t))
		if _, err := s.Address(t.Context(), "n1"); err == nil {
			t.Error("an unknown node has an address")
		}
		for _, address := range []string{"10.0.0.1:5062", "10.0.0.2:5062"} {
			if err := s.Announce(t.Context(), "n1", address, start); err != nil {
				t.Fatal(err)
			}
			if got := must(s.Address(t.Context(), "n1"))(t); got != address {
				t.Errorf("%s, want %s", got, address)
			}
		}
		for name, at := range map[string]time.Time{"n3": start.Add(time.Hour), "n2": start.Add(time.Minute)} {
			if err := s.Announce(t.Context(), name, "", at); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Address(t.Context(), "n2"); err == nil || !strings.Contains(err.Error(), "telephony.internal_listen") {
			t.Errorf("a node without a listener: %v", err)
		}
		all := must(s.Present(t.Context(), start))(t)
		if len(all) != 2 || all[0].Name != "n2" || !all[0].SeenAt.Equal(start.Add(time.Minute)) || all[1].Name != "n3" {
			t.Errorf("%+v", all)
		}
		if err := s.Withdraw(t.Context(), "n3"); err != nil {
			t.Fatal(err)
		}
		if all := must(s.Present(t.Context(), start))(t); len(all) != 1 {
			t.Errorf("after it stopped: %+v", all)
		}
	})
}
