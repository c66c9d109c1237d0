package provisioning_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"demarc/cloudlink"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
)

// elsewhere is a second service, which gives its users the same ids.
type elsewhere struct {
	*source
}

func (e *elsewhere) Users(ctx context.Context, next string) ([]cloudlink.UserWithEndpoints, string, error) {
	users, next, err := e.source.Users(ctx, next)
	theirs := make([]cloudlink.UserWithEndpoints, len(users))
	for i, u := range users {
		u.Email = strings.Replace(u.Email, "user", "other", 1)
		theirs[i] = u
	}
	return theirs, next, err
}

// Users of two linked services have the credentials of their own; while one service is away nobody of either loses anything, and
// one that is disconnected takes its own alone along.
func TestTwoServicesAreSynced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(3)
		report, err := b.svc.Import(t.Context(), b.actor, strings.NewReader("email,name\nother0@corp.test,O\nother1@corp.test,P\n"), "x.csv", false)
		if b.must(err); report.Add != 2 {
			t.Fatalf("%+v", report)
		}
		second := &elsewhere{source: newSource(2)}
		second.version = "second"
		sync := func(services ...rules.Source) (rules.SyncRun, error) {
			return b.svc.Sync(t.Context(), b.actor.Account, services)
		}
		pending := func() int {
			page, err := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{})
			b.must(err)
			return page.Counts[rules.Pending]
		}
		run, err := sync(b.src, second)
		if err != nil || run.Looked != 5 || run.Pending != 0 || pending() != 0 || second.fetched.Load() != 4 || b.src.fetched.Load() != 6 {
			t.Fatalf("%+v %v: %d fetched there, %d here", run, err, second.fetched.Load(), b.src.fetched.Load())
		}
		if run, err = sync(b.src, second); err != nil || run.Changed != 0 || second.fetched.Load() != 4 {
			t.Errorf("what has not changed: %+v %v", run, err)
		}
		second.page, second.broken = 1, errors.New("away")
		if run, err = sync(b.src, second); err == nil || run.Changed != 0 || pending() != 0 {
			t.Errorf("with a service away: %+v %v, %d without", run, err, pending())
		}
		if run, err = sync(b.src); err != nil || run.Pending != 2 || pending() != 2 {
			t.Errorf("disconnected: %+v %v", run, err)
		}
	})
}
