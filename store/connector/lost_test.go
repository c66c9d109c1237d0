package connector_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	rules "demarc/connector"
	"demarc/internal/account"
	"demarc/store"
	storeconnector "demarc/store/connector"
	"demarc/store/storetest"
)

// forgiving is a service that gives the same pair again to a repeated refresh within 30 s, as CloudLink does, and takes a
// later one for theft.
type forgiving struct {
	*service
	passed time.Duration // beside the time that really passes

	used map[account.Secret]rotation
	hang bool // take the token, and never answer
}

type rotation struct {
	at   time.Time
	pair rules.Tokens
}

func (o *forgiving) Refresh(ctx context.Context, base string, refresh account.Secret) (rules.Tokens, error) {
	at, hang, before, again := o.look(refresh)
	if again && at.Sub(before.at) < 30*time.Second {
		return before.pair, nil
	}
	t, err := o.service.Refresh(ctx, base, refresh)
	if err == nil {
		o.mu.Lock()
		o.used[refresh] = rotation{at, t}
		o.mu.Unlock()
	}
	if hang {
		<-ctx.Done()
		return rules.Tokens{}, errors.Join(rules.ErrUnreachable, ctx.Err())
	}
	return t, err
}

func (o *forgiving) look(refresh account.Secret) (at time.Time, hang bool, before rotation, again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, again = o.used[refresh]
	return time.Now().Add(o.passed), o.hang, before, again
}

// dying is the store of a process that is killed as it comes to save new tokens.
type dying struct{ *storeconnector.Store }

func (dying) Rotate(context.Context, rules.GrantKey, int64, rules.Tokens, time.Time, rules.Event) error {
	runtime.Goexit()
	return nil
}

func (b *bench) forgiving() *forgiving {
	return &forgiving{service: b.oauth, used: map[account.Secret]rotation{}}
}

// pass lets time go by for the clock, the service and the store's leases.
func (b *bench) pass(o *forgiving, d time.Duration) {
	b.Helper()
	b.sleep(d)
	o.mu.Lock()
	o.passed += d
	o.mu.Unlock()
	b.must(b.db.Write(b.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(b.Context(), `UPDATE connector_grant SET lease_until = lease_until - $1`, d.Milliseconds())
		return err
	}))
}

func TestKilledBetweenAnswerAndSaving(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.sleep(49 * time.Minute)
		service := b.forgiving()
		killed := rules.New(rules.Config{Store: dying{b.store}, OAuth: service, Now: b.now})
		var process sync.WaitGroup
		process.Go(func() { _, _ = killed.Token(context.Background(), b.actor.Account, b.con.ID) })
		process.Wait()
		if n := b.oauth.refreshes.Load(); n != 1 {
			t.Fatalf("%d refreshes before the kill, want 1", n)
		}
		b.pass(service, 15*time.Second)
		next := rules.New(rules.Config{Store: b.store, OAuth: service, Now: b.now})
		b.must(next.RefreshDue(t.Context()))
		if state, reason, grants := b.state(); state != rules.Linked || grants[0].Generation != 2 {
			t.Fatalf("after a restart the link is %s (%s), generation %d", state, reason, grants[0].Generation)
		}
	})
}

func TestServiceThatTakesATokenAndDoesNotAnswer(t *testing.T) {
	db := storetest.SQLite(t)
	b := newBench(t, db)
	b.link()
	b.sleep(49 * time.Minute)
	service := b.forgiving()
	service.hang = true
	svc := rules.New(rules.Config{Store: b.store, OAuth: service, Now: b.now})
	if err := svc.RefreshDue(t.Context()); !errors.Is(err, rules.ErrUnreachable) {
		t.Fatalf("no answer: %v", err)
	}
	if _, reason, _ := b.state(); reason == "" {
		t.Error("a service that does not answer is told to nobody")
	}
	service.hang = false
	b.pass(service, 5*time.Second)
	b.must(svc.RefreshDue(t.Context()))
	if state, reason, grants := b.state(); state != rules.Linked || grants[0].Generation != 2 {
		t.Fatalf("after an answer was lost the link is %s (%s), generation %d", state, reason, grants[0].Generation)
	}
}
