package provisioning_test

import (
	"context"
	"errors"
	"fmt"
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

func (e *elsewhere) Name() string { return "second" }

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
		// The others go on meanwhile, in both orders: one user more, another one's password, an endpoint that is gone.
		for i, order := range [][]rules.Source{{b.src, second}, {second, b.src}} {
			email := fmt.Sprintf("user%d@corp.test", 3+i)
			b.src.add(1003+i, email)
			_, err := b.svc.Import(t.Context(), b.actor, strings.NewReader("email,name\n"+email+",New\n"), "more.csv", false)
			b.must(err)
			b.src.users[0].SIPEndpoints[0].ETag += "+"
			fetched := b.src.fetched.Load()
			run, err = sync(order...)
			if err == nil || !strings.Contains(run.Error, "second: ") || strings.Contains(run.Error, "first: ") || run.Looked != 4+i || run.Pending != 0 {
				t.Errorf("order %d: %+v %v", i, run, err)
			}
			if n := b.src.fetched.Load() - fetched; n != 3 || pending() != 0 {
				t.Errorf("order %d: %d fetched, %d without", i, n, pending())
			}
		}
		b.src.users[1].SIPEndpoints = nil
		if run, err = sync(b.src, second); err == nil || run.Pending != 1 || pending() != 1 {
			t.Errorf("without endpoints: %+v %v, %d without", run, err, pending())
		}
		// One that fails while credentials are fetched stops nobody else's either.
		second.page, second.broken = 50, nil
		second.down = errors.New("gone")
		second.users[0].SIPEndpoints[0].ETag, b.src.users[0].SIPEndpoints[0].ETag = "new", "new"
		fetched := b.src.fetched.Load()
		if run, err = sync(second, b.src); err == nil || !strings.Contains(run.Error, "second: ") || b.src.fetched.Load() != fetched+1 || run.Looked != 6 {
			t.Errorf("gone amid: %+v %v", run, err)
		}
		second.down = nil
		if run, err = sync(b.src, second); err != nil || run.Looked != 7 || run.Pending != 1 {
			t.Errorf("back: %+v %v", run, err)
		}
		if run, err = sync(b.src); err != nil || run.Pending != 3 || pending() != 3 {
			t.Errorf("disconnected: %+v %v", run, err)
		}
	})
}
