package provisioning_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"demarc/cloudlink"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
)

func TestCodesAmidRemoval(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		for i := range 20 {
			u, err := b.svc.AddUser(t.Context(), b.actor, rules.NewUser{Email: fmt.Sprintf("brief%d@corp.test", i)})
			b.must(err)
			var group sync.WaitGroup
			for k := range 6 {
				group.Go(func() {
					if k == 3 {
						if err := b.svc.RemoveUser(t.Context(), b.actor, u.ID); err != nil {
							t.Errorf("remove: %v", err)
						}
						return
					}
					_, err := b.svc.IssueCode(t.Context(), b.actor, u.ID, cloudlink.Desktop)
					if err != nil && !errors.Is(err, rules.ErrNotFound) {
						t.Errorf("a code for a user who is being removed: %v", err)
					}
				})
			}
			group.Wait()
		}
	})
}

func TestBoundOfCodesHoldsForManyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		u, err := b.svc.AddUser(t.Context(), b.actor, rules.NewUser{Email: "many@corp.test"})
		b.must(err)
		for range 96 {
			_, err := b.svc.IssueCode(t.Context(), b.actor, u.ID, cloudlink.Desktop)
			b.must(err)
		}
		var group sync.WaitGroup
		var made atomic.Int64
		for range 20 {
			group.Go(func() {
				_, err := b.svc.IssueCode(t.Context(), b.actor, u.ID, cloudlink.Desktop)
				if err == nil {
					made.Add(1)
				} else if !errors.Is(err, rules.ErrConflict) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if made.Load() != 4 {
			t.Errorf("%d codes beside 96: the bound is 100", made.Load())
		}
	})
}
