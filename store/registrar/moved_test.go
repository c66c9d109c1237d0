package registrar_test

import (
	"context"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	storeregistrar "demarc/store/registrar"
	"demarc/store/storetest"
	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// slow is a feed that has not told a node anything yet: its hints and reads come a moment too late.
type slow struct{ *storeregistrar.Peers }

func (slow) Heads(context.Context) (map[string]int64, error) { return map[string]int64{}, nil }

func (slow) Wait(ctx context.Context) { <-ctx.Done() }

// A phone goes over to another node and closes its old connection as soon as it is registered there, before the old node has heard
// of that. It stays registered and reachable where it is now, and nobody is told that it has gone.
func TestAPhoneThatMovedDoesNotEndWithItsOldConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		d := subscribers(acc, 1)
		replace(t, s, acc, d, storeregistrar.Replaced{Added: 1})
		hash := d.Subscribers[0].Hashes[0]
		one := started(t, registrar.Config{Node: "n1", Directory: s, Bindings: s, Feed: slow{storeregistrar.NewPeers(s)}, Tick: 10 * time.Millisecond})
		two := node(t, db, s, "n2")
		aor := telephony.NewAoR("1001", "pbx.example.org")
		mustRegister(t, one, hash, 1)
		mustRegister(t, two, hash, 9)
		one.FlowClosed(telephony.Flow{ID: 1, Transport: telephony.TLS})
		eventually(t, "n1 has done with the connection", func() bool {
			found := one.Bindings(aor)
			return len(found) != 1 || found[0].Node != "n1" || !found[0].Reachable
		})
		for name, r := range map[string]*registrar.Registrar{"n1": one, "n2": two} {
			if got := r.Bindings(aor); len(got) != 1 || got[0].Node != "n2" || !got[0].Reachable {
				t.Errorf("%s knows %+v", name, got)
			}
		}
		if got := load(t, s, "n2"); len(got) != 1 || !got[0].Reachable || got[0].Flow.ID != 9 {
			t.Errorf("stored: %+v", got)
		}
		for _, c := range must(s.Since(t.Context(), "n1", 0, 100))(t) {
			if c.Kind != telephony.BindingRegistered {
				t.Errorf("n1 told of %s", c.Kind)
			}
		}
	})
}

// What a node says of a connection that ended never takes a binding back from the node that has it now.
func TestAnEndedConnectionTakesNothingOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		there := binding(acc, "1001", "k")
		there.Node, there.Reachable = "n2", true
		save(t, s, registrar.Batch{Node: "n2", Put: []registration.Binding{there}})
		ended := there
		ended.Node, ended.Reachable = "n1", false
		save(t, s, registrar.Batch{Node: "n1", Put: []registration.Binding{ended}})
		if got := load(t, s, "n2"); len(got) != 1 || !got[0].Reachable {
			t.Errorf("n2 has %+v", got)
		}
		back := ended
		back.Reachable = true // the phone itself came
		save(t, s, registrar.Batch{Node: "n1", Put: []registration.Binding{back}})
		if got := load(t, s, "n1"); len(got) != 1 {
			t.Errorf("n1 has %+v", got)
		}
	})
}
