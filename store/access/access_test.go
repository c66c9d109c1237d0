package access_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/store"
	storeaccess "demarc/store/access"
	"demarc/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func service(db *store.DB, now func() time.Time) *access.Service {
	s := storeaccess.New(db)
	return access.New(access.Config{Accounts: s, Members: s, Sessions: s, Now: now})
}

func TestAccountsAndMembers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := service(db, func() time.Time { return start })
		one, err := s.CreateAccount(t.Context(), "One", "one.example", "o@one.example")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.CreateAccount(t.Context(), "Again", "ONE.example", "o@one.example")
		if !errors.Is(err, access.ErrConflict) {
			t.Errorf("the same domain again: %v", err)
		}
		two, err := s.CreateAccount(t.Context(), "Two", "two.example", "o@one.example")
		if err != nil {
			t.Fatal("one person may own two accounts:", err)
		}
		all, err := s.Accounts(t.Context())
		if err != nil || len(all) != 2 || all[0] != one || all[1] != two {
			t.Errorf("accounts %+v, %v", all, err)
		}
		for _, ref := range []string{string(one.ID), "one.example"} {
			if got, err := s.Account(t.Context(), ref); err != nil || got != one {
				t.Errorf("%s: %+v, %v", ref, got, err)
			}
		}
		if _, err := s.Account(t.Context(), "three.example"); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("no such account: %v", err)
		}
		op := access.OfOperator(one.ID)
		if _, err := s.AddMember(t.Context(), op, "o@one.example", "", account.User); !errors.Is(err, access.ErrConflict) {
			t.Errorf("the same address: %v", err)
		}
		_, err = s.AddMember(t.Context(), op, "n@one.example", "a\x00b", account.User)
		if !errors.Is(err, access.ErrInvalid) {
			t.Errorf("a NUL byte: %v", err)
		}
		if _, err := s.AddMember(t.Context(), op, "Ann@one.example", "Ann", account.Support); err != nil {
			t.Fatal(err)
		}
		members, err := s.Members(t.Context(), one.ID)
		if err != nil || len(members) != 2 || members[0].Email != "ann@one.example" || members[0].Role != account.Support {
			t.Errorf("members %+v, %v", members, err)
		}
		if others, _ := s.Members(t.Context(), two.ID); len(others) != 1 {
			t.Errorf("the other account has %+v", others)
		}
	})
}

func TestSignInOnBothDatabases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var offset atomic.Int64
		s := service(db, func() time.Time { return start.Add(time.Duration(offset.Load())) })
		a, err := s.CreateAccount(t.Context(), "One", "one.example", "o@one.example")
		if err != nil {
			t.Fatal(err)
		}
		link := func() account.Secret {
			token, _, err := s.IssueSignIn(t.Context(), a.ID, "o@one.example")
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first, p, err := s.SignIn(t.Context(), link(), "")
		if err != nil || p.Actor != access.Owner || p.Member.Email != "o@one.example" || p.Account != a.ID {
			t.Fatalf("%+v, %v", p, err)
		}
		if got, err := s.Authenticate(t.Context(), first); err != nil || got != p {
			t.Errorf("authenticate: %+v, %v; want %+v", got, err, p)
		}
		second, _, err := s.SignIn(t.Context(), link(), first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(t.Context(), first); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("the old cookie after a new sign-in: %v", err)
		}
		for range 3 {
			offset.Add(int64(access.SessionIdle - time.Minute))
			if _, err := s.Authenticate(t.Context(), second); err != nil {
				t.Fatalf("a session in use ended: %v", err)
			}
		}
		third, q, err := s.SignIn(t.Context(), link(), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SignOut(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(t.Context(), third); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("after sign-out: %v", err)
		}
		if _, err := s.Authenticate(t.Context(), second); err != nil {
			t.Errorf("signing out here ended a session elsewhere: %v", err)
		}
		if err := s.RevokeSessions(t.Context(), a.ID, p.Member.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(t.Context(), second); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("after revocation: %v", err)
		}
	})
}

func TestOneOfManyBurnsTheLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := service(db, func() time.Time { return start })
		a, err := s.CreateAccount(t.Context(), "One", "one.example", "o@one.example")
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := s.IssueSignIn(t.Context(), a.ID, "o@one.example")
		if err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				switch _, _, err := s.SignIn(t.Context(), token, ""); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, access.ErrLinkUsed):
					t.Errorf("a loser got %v", err)
				}
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Errorf("%d sign-ins with one link", n)
		}
	})
}

func TestSweep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := service(db, func() time.Time { return start })
		a, err := s.CreateAccount(t.Context(), "One", "one.example", "o@one.example")
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := s.IssueSignIn(t.Context(), a.ID, "o@one.example")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = s.SignIn(t.Context(), token, ""); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			age             time.Duration
			links, sessions int
		}{
			{access.LinkLifetime - time.Minute, 1, 1}, {access.LinkLifetime, 0, 1},
			{access.SessionLifetime - time.Minute, 0, 1}, {access.SessionLifetime, 0, 0},
		} {
			if err := storeaccess.New(db).Sweep(t.Context(), start.Add(step.age)); err != nil {
				t.Fatal(err)
			}
			for table, want := range map[string]int{"sign_in_link": step.links, "web_session": step.sessions} {
				var n int
				if err := db.Read(t.Context(), func(q store.Tx) error {
					return q.QueryRow(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n)
				}); err != nil || n != want {
					t.Errorf("after %v: %d rows in %s, %v, want %d", step.age, n, table, err, want)
				}
			}
		}
	})
}
