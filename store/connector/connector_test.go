package connector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/cloudlink"
	rules "demarc/connector"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/store"
	storeconnector "demarc/store/connector"
	"demarc/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const issuer = "https://cloudlink.test:8443"

// service is an authorisation server in memory. It rotates refresh tokens and accepts each once.
type service struct {
	mu        sync.Mutex
	now       func() time.Time
	code      string
	scope     string
	email     string
	account   string
	down      bool
	n         int
	valid     map[account.Secret]bool // refresh tokens
	revoked   int
	refreshes atomic.Int64
	state     string
	challenge string
}

func (o *service) AuthorizeURL(base, state, challenge string) (string, error) {
	o.state, o.challenge = state, challenge
	return base + "/authorize?state=" + state, nil
}

func (o *service) tokens() rules.Tokens {
	o.n++
	refresh := account.Secret(fmt.Sprint("refresh-canary-", o.n))
	o.valid[refresh] = true
	return rules.Tokens{
		Access: account.Secret(fmt.Sprint("access-canary-", o.n)), Refresh: refresh, ExpiresAt: o.now().Add(time.Hour),
	}
}

func (o *service) Exchange(_ context.Context, _, code, verifier string) (rules.Tokens, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return rules.Tokens{}, rules.ErrUnreachable
	}
	if code != o.code || len(verifier) < 43 {
		return rules.Tokens{}, rules.ErrCodeRefused
	}
	return o.tokens(), nil
}

func (o *service) Refresh(_ context.Context, _ string, refresh account.Secret) (rules.Tokens, error) {
	o.refreshes.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return rules.Tokens{}, rules.ErrUnreachable
	}
	if !o.valid[refresh] {
		return rules.Tokens{}, rules.ErrReauthorize
	}
	delete(o.valid, refresh)
	return o.tokens(), nil
}

func (o *service) WhoAmI(context.Context, string, account.Secret) (cloudlink.WhoAmI, error) {
	return cloudlink.WhoAmI{UserID: "u-" + o.email, Email: o.email, AccountID: o.account, Scope: o.scope}, nil
}

func (o *service) Revoke(_ context.Context, _ string, refresh account.Secret) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.revoked++
	delete(o.valid, refresh)
	return nil
}

type bench struct {
	*testing.T
	db    *store.DB
	store *storeconnector.Store
	oauth *service
	svc   *rules.Service
	actor account.Member
	con   rules.Connector
	clock atomic.Int64 // milliseconds
}

func (b *bench) now() time.Time { return time.UnixMilli(b.clock.Load()).UTC() }

func (b *bench) sleep(d time.Duration) { b.clock.Add(d.Milliseconds()) }

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func newBench(t *testing.T, db *store.DB) *bench {
	b := &bench{T: t, db: db, store: storeconnector.New(db, sealtest.New(t))}
	b.clock.Store(time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC).UnixMilli())
	b.oauth = &service{
		now: b.now, code: "good", email: "admin@corp.test", valid: map[account.Secret]bool{},
		scope: cloudlink.ScopeRead + " " + cloudlink.ScopeCredential,
	}
	b.svc = b.newService()
	b.actor = account.Member{Account: storetest.Account(t, db, "corp.test"), ID: "mem_1", Role: account.Admin}
	ctx := t.Context()
	if _, err := b.svc.Create(ctx, b.actor, "Main", issuer); !errors.Is(err, rules.ErrNotInstalled) {
		t.Fatalf("a connector without the app: %v", err)
	}
	b.must(b.svc.Install(ctx, b.actor))
	b.must(b.svc.Install(ctx, b.actor))
	var err error
	b.con, err = b.svc.Create(ctx, b.actor, "Main", issuer+"/")
	b.must(err)
	return b
}

func (b *bench) newService() *rules.Service {
	return rules.New(rules.Config{Store: b.store, OAuth: b.oauth, Now: b.now})
}

func (b *bench) begin() rules.Callback {
	b.Helper()
	_, err := b.svc.Begin(b.Context(), b.actor, "session-1", b.con.ID)
	b.must(err)
	return rules.Callback{Code: "good", State: b.oauth.state, Issuer: issuer}
}

func (b *bench) link() rules.Grant {
	b.Helper()
	_, g, err := b.svc.Complete(b.Context(), b.actor, "session-1", b.begin())
	b.must(err)
	return g
}

func (b *bench) state() (rules.State, string, []rules.Grant) {
	b.Helper()
	c, grants, err := b.svc.Connector(b.Context(), b.actor.Account, b.con.ID)
	b.must(err)
	return c.State, c.Reason, grants
}

func TestLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		cb := b.begin()
		c, g, err := b.svc.Complete(t.Context(), b.actor, "session-1", cb)
		b.must(err)
		if c.State != rules.Linked || g.Email != "admin@corp.test" {
			t.Fatalf("linked as %+v, %+v", c, g)
		}
		token, err := b.svc.Token(t.Context(), b.actor.Account, c.ID)
		b.must(err)
		if token.Reveal() != "access-canary-1" {
			t.Fatalf("token %q", token.Reveal())
		}
		if _, _, err := b.svc.Complete(t.Context(), b.actor, "session-1", cb); !errors.Is(err, rules.ErrStateUnknown) {
			t.Fatalf("a replay: %v", err)
		}
		history, err := b.svc.History(t.Context(), b.actor.Account, c.ID, 10)
		b.must(err)
		if len(history) != 2 {
			t.Fatalf("history %+v", history)
		}
		if _, _, err := b.svc.Connector(t.Context(), "acc_other", c.ID); !errors.Is(err, rules.ErrNotFound) {
			t.Fatalf("another account sees the connector: %v", err)
		}
	})
}

func TestLinkFailuresChangeNothing(t *testing.T) {
	cases := []struct {
		name    string
		session string
		spoil   func(*bench, *rules.Callback)
		want    error
	}{
		{"cancelled", "session-1", func(_ *bench, cb *rules.Callback) { cb.Code, cb.Error = "", "access_denied" },
			rules.ErrConsentDenied},
		{"wrong issuer wins over error", "session-1",
			func(_ *bench, cb *rules.Callback) { cb.Issuer, cb.Error = "https://evil.test", "access_denied" },
			rules.ErrWrongIssuer},
		{"no issuer", "session-1", func(_ *bench, cb *rules.Callback) { cb.Issuer = "" }, rules.ErrWrongIssuer},
		{"unknown state", "session-1", func(_ *bench, cb *rules.Callback) { cb.State = "guess" }, rules.ErrStateUnknown},
		{"another session", "session-2", func(*bench, *rules.Callback) {}, rules.ErrStateUnknown},
		{"too late", "session-1", func(b *bench, _ *rules.Callback) { b.sleep(11 * time.Minute) }, rules.ErrStateExpired},
		{"bad code", "session-1", func(_ *bench, cb *rules.Callback) { cb.Code = "bad" }, rules.ErrCodeRefused},
		{"no code", "session-1", func(_ *bench, cb *rules.Callback) { cb.Code = "" }, rules.ErrCodeRefused},
		{"other error", "session-1", func(_ *bench, cb *rules.Callback) { cb.Error = "invalid_scope\x00" },
			rules.ErrCodeRefused},
		{"unreachable", "session-1", func(b *bench, _ *rules.Callback) { b.oauth.down = true }, rules.ErrUnreachable},
		{"no permission", "session-1", func(b *bench, _ *rules.Callback) { b.oauth.scope = "psi:read" },
			rules.ErrWrongPermission},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		for _, c := range cases {
			b.oauth.down, b.oauth.scope = false, cloudlink.ScopeRead+" "+cloudlink.ScopeCredential
			cb := b.begin()
			c.spoil(b, &cb)
			if _, _, err := b.svc.Complete(t.Context(), b.actor, c.session, cb); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			if state, _, grants := b.state(); state != rules.Unlinked || len(grants) != 0 {
				t.Errorf("%s: changed the connector to %v with %d grants", c.name, state, len(grants))
			}
		}
		if b.oauth.revoked != 1 {
			t.Errorf("%d tokens were revoked, want the one without permission", b.oauth.revoked)
		}
	})
}

func TestLinkStaysWithOneAccountOfTheService(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.oauth.account = "acme"
		b.link()
		b.oauth.account, b.oauth.email = "other", "admin@other.test"
		_, _, err := b.svc.Complete(t.Context(), b.actor, "session-1", b.begin())
		if !errors.Is(err, rules.ErrWrongAccount) {
			t.Fatalf("another account: %v", err)
		}
		if state, _, grants := b.state(); state != rules.Linked || len(grants) != 1 || b.oauth.revoked != 1 {
			t.Errorf("%v, grants %+v, %d revoked", state, grants, b.oauth.revoked)
		}
		clear(b.oauth.valid) // the grant ends: that does not open the door to others
		b.sleep(time.Hour)
		_ = b.svc.RefreshDue(t.Context())
		if _, _, err = b.svc.Complete(t.Context(), b.actor, "session-1", b.begin()); !errors.Is(err, rules.ErrWrongAccount) {
			t.Fatalf("another account, when the first one's grant has ended: %v", err)
		}
		b.must(b.svc.Disconnect(t.Context(), b.actor, b.con.ID))
		b.link()
	})
}

func TestStateIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		cb := b.begin()
		var group sync.WaitGroup
		var won atomic.Int64
		for range 100 {
			group.Go(func() {
				_, _, err := b.svc.Complete(context.Background(), b.actor, "session-1", cb)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, rules.ErrStateUnknown) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 100 replays won", won.Load())
		}
	})
}

func TestOneRefreshForAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.sleep(49 * time.Minute) // past 80 % of an hour
		var group sync.WaitGroup
		for range 4 {
			svc := b.newService() // as another process
			for range 5 {
				group.Go(func() {
					token, err := svc.Token(context.Background(), b.actor.Account, b.con.ID)
					if err != nil || token.Reveal() != "access-canary-2" {
						t.Errorf("token %q, %v", token.Reveal(), err)
					}
				})
			}
		}
		group.Wait()
		if n := b.oauth.refreshes.Load(); n != 1 {
			t.Fatalf("%d refreshes, want 1", n)
		}
		if _, _, grants := b.state(); grants[0].Generation != 2 {
			t.Fatalf("generation %d", grants[0].Generation)
		}
	})
}

func TestTransientFailureKeepsTheGrant(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.oauth.down = true
		b.sleep(49 * time.Minute)
		if _, err := b.svc.Token(t.Context(), b.actor.Account, b.con.ID); err != nil {
			t.Fatalf("the old token is still good: %v", err)
		}
		state, reason, _ := b.state()
		if state != rules.Linked || !strings.Contains(reason, "tries again") {
			t.Fatalf("%v %q", state, reason)
		}
		b.sleep(time.Hour)
		for range 3 { // the second and third do not even ask
			if _, err := b.svc.Token(t.Context(), b.actor.Account, b.con.ID); !errors.Is(err, rules.ErrUnreachable) {
				t.Fatalf("with a dead token: %v", err)
			}
		}
		if n := b.oauth.refreshes.Load(); n != 2 {
			t.Fatalf("%d refreshes, want 2: failures are not hammered", n)
		}
		b.oauth.down = false
		b.sleep(time.Hour)
		b.must(b.svc.RefreshDue(t.Context()))
		if state, reason, _ := b.state(); state != rules.Linked || reason != "" {
			t.Fatalf("after recovery %v %q", state, reason)
		}
	})
}

func TestStandbyGrantTakesOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.sleep(time.Second)
		b.oauth.email = "second@corp.test"
		b.link()
		b.oauth.mu.Lock()
		delete(b.oauth.valid, "refresh-canary-2") // the second admin leaves
		b.oauth.mu.Unlock()
		b.sleep(50 * time.Minute)
		token, err := b.svc.Token(t.Context(), b.actor.Account, b.con.ID)
		b.must(err)
		if token.Reveal() != "access-canary-3" {
			t.Fatalf("token %q", token.Reveal())
		}
		if state, _, _ := b.state(); state != rules.Linked {
			t.Fatalf("state %v while a grant works", state)
		}
		b.oauth.mu.Lock()
		clear(b.oauth.valid)
		b.oauth.mu.Unlock()
		b.sleep(50 * time.Minute)
		if err := b.svc.RefreshDue(t.Context()); !errors.Is(err, rules.ErrReauthorize) {
			t.Fatalf("RefreshDue: %v", err)
		}
		state, reason, grants := b.state()
		if state != rules.NeedsAuth || !strings.Contains(reason, "admin@corp.test") {
			t.Fatalf("%v %q", state, reason)
		}
		for _, g := range grants {
			if g.EndedAt.IsZero() || g.EndReason == "" {
				t.Errorf("grant %+v did not end", g)
			}
		}
		if _, err := b.svc.Token(t.Context(), b.actor.Account, b.con.ID); !errors.Is(err, rules.ErrReauthorize) {
			t.Fatalf("Token: %v", err)
		}
		b.link()
		if state, _, _ := b.state(); state != rules.Linked {
			t.Fatalf("after a new authorisation %v", state)
		}
	})
}

// The service refuses a token long before its time: revoked there, or only lost.
func TestRefusedTokenIsRenewedOrItsGrantEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.sleep(time.Second)
		b.oauth.email = "second@corp.test"
		b.link()
		renew := func(refused, want account.Secret) {
			t.Helper()
			var group sync.WaitGroup
			for range 10 { // as the sync asks for many credentials at once
				group.Go(func() {
					token, err := b.svc.Renew(t.Context(), b.actor.Account, b.con.ID, refused)
					if err != nil || token != want {
						t.Errorf("instead of %s: %s, %v", refused.Reveal(), token.Reveal(), err)
					}
				})
			}
			group.Wait()
		}
		renew("access-canary-2", "access-canary-3") // lost: the refresh token is good
		if n := b.oauth.refreshes.Load(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
		b.oauth.mu.Lock()
		delete(b.oauth.valid, "refresh-canary-3")
		b.oauth.mu.Unlock()
		renew("access-canary-3", "access-canary-1") // revoked: the other admin's takes over
		if state, reason, grants := b.state(); state != rules.Linked || reason != "" || grants[0].EndedAt.IsZero() {
			t.Errorf("%v %q %+v", state, reason, grants)
		}
		renew("unknown", "access-canary-1")
		b.oauth.mu.Lock()
		b.oauth.down = true
		b.oauth.mu.Unlock()
		if _, err := b.svc.Renew(t.Context(), b.actor.Account, b.con.ID, "access-canary-1"); !errors.Is(err,
			rules.ErrUnreachable) {
			t.Errorf("while the service is away: %v", err)
		}
		b.oauth.mu.Lock()
		b.oauth.down = false
		clear(b.oauth.valid)
		b.oauth.mu.Unlock()
		b.sleep(time.Minute)
		if _, err := b.svc.Renew(t.Context(), b.actor.Account, b.con.ID, "access-canary-1"); !errors.Is(err,
			rules.ErrReauthorize) {
			t.Errorf("when all are revoked: %v", err)
		}
		if state, reason, _ := b.state(); state != rules.NeedsAuth || !strings.Contains(reason, "admin@corp.test") {
			t.Errorf("%v %q", state, reason)
		}
	})
}

func TestDisconnectRevokes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.must(b.svc.Disconnect(t.Context(), b.actor, b.con.ID))
		if state, _, _ := b.state(); state != rules.Unlinked || b.oauth.revoked != 1 {
			t.Fatalf("%v, %d revoked", state, b.oauth.revoked)
		}
		if _, err := b.svc.Token(t.Context(), b.actor.Account, b.con.ID); !errors.Is(err, rules.ErrReauthorize) {
			t.Fatalf("Token: %v", err)
		}
	})
}

// An old holder of the lease, woken late, must not end or postpone what a newer one has rotated.
func TestLateHolderIsFenced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		g := b.link()
		key := rules.GrantKey{Account: b.actor.Account, Connector: b.con.ID, Grant: g.ID}
		old, held, ok, err := b.store.Acquire(t.Context(), key, -time.Second) // runs out at once
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if _, _, ok, err = b.store.Acquire(t.Context(), key, time.Minute); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if _, _, ok, err = b.store.Acquire(t.Context(), key, time.Minute); err != nil || ok {
			t.Fatal("two holders", err)
		}
		b.must(b.store.End(t.Context(), old, held.Generation, "late", rules.Event{}))
		b.must(b.store.Postpone(t.Context(), old, held.Generation, b.now(), "late", rules.Event{}))
		if state, reason, grants := b.state(); state != rules.Linked || reason != "" || !grants[0].EndedAt.IsZero() {
			t.Fatalf("the late holder changed it: %v %q %+v", state, reason, grants)
		}
		err = b.store.Rotate(t.Context(), key, held.Generation+1, held.Tokens, b.now(), rules.Event{})
		if !errors.Is(err, rules.ErrStale) {
			t.Fatalf("a rotation of another generation: %v", err)
		}
	})
}

func TestSweep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.link() // the first grant has ended, the second works
		late := b.begin()
		rows := func(table string) (n int) {
			t.Helper()
			b.must(db.Read(t.Context(), func(q store.Tx) error {
				return q.QueryRow(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n)
			}))
			return n
		}
		b.must(db.Write(t.Context(), func(tx store.Tx) error { // more history than is kept
			for i := range 600 {
				if _, err := tx.Exec(t.Context(), `INSERT INTO connector_event
					(account_id, connector_id, at, event_id, actor, text) VALUES ($1, $2, 1, $3, '', 'old')`,
					string(b.actor.Account), string(b.con.ID), fmt.Sprint("ev_", i)); err != nil {
					return err
				}
			}
			return nil
		}))
		b.must(b.svc.Sweep(t.Context()))
		if n := rows("connector_event"); n != 500 {
			t.Errorf("%d events", n)
		}
		events, err := b.store.History(t.Context(), b.actor.Account, b.con.ID, 1)
		if err != nil || events[0].Text == "old" {
			t.Errorf("the newest event went: %+v, %v", events, err)
		}
		if rows("link_attempt") != 1 || rows("connector_grant") != 2 {
			t.Errorf("%d attempts, %d grants", rows("link_attempt"), rows("connector_grant"))
		}
		b.sleep(25 * time.Hour)
		b.must(b.svc.Sweep(t.Context()))
		if n := rows("link_attempt"); n != 0 {
			t.Errorf("%d attempts a day later", n)
		}
		if _, _, err := b.svc.Complete(t.Context(), b.actor, "session-1", late); !errors.Is(err, rules.ErrStateUnknown) {
			t.Errorf("after the sweep: %v", err)
		}
		b.sleep(366 * 24 * time.Hour)
		b.must(b.svc.Sweep(t.Context()))
		_, _, grants := b.state()
		for _, g := range grants {
			if !g.EndedAt.IsZero() {
				t.Fatalf("an old ended grant: %+v", g)
			}
		}
		if len(grants) != 1 {
			t.Errorf("%d working grants", len(grants))
		}
	})
}
