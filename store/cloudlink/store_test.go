package cloudlink_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/store"
	storecloudlink "demarc/store/cloudlink"
	"demarc/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	acme  = account.ID("acme")
	other = account.ID("other")
)

// each runs a test with a fresh store on both databases.
func each(t *testing.T, test func(t *testing.T, s *storecloudlink.Store)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, storecloudlink.New(db, sealtest.New(t))) })
}

// approve makes a grant with the code "code-NAME" for client "app".
func approve(t *testing.T, s *storecloudlink.Store, acc account.ID, name string) {
	t.Helper()
	ticket := oauth.Ticket{
		Account: acc, Hash: "ticket-" + name, SessionHash: "session", Request: "request", ExpiresAt: start.Add(time.Hour),
	}
	ok(t, s.AddTicket(t.Context(), ticket))
	ok(t, s.Approve(t.Context(), approval(ticket, name)))
}

func approval(ticket oauth.Ticket, name string) oauth.Approval {
	return oauth.Approval{
		Ticket: ticket, Grant: "grant-" + name, Client: "app", Subject: "person",
		Scope:       oauth.ParseScope("psi:read psi:write"),
		RedirectURI: "https://portal/callback", Challenge: "challenge", CodeHash: "code-" + name,
		CodeExpires: start.Add(oauth.CodeLifetime), AccessLifetime: time.Hour, RefreshLifetime: 24 * time.Hour, At: start,
		Audit: oauth.AuditEntry{Account: ticket.Account, At: start, Action: "consent", Target: "grant-" + name},
	}
}

func use(name string) oauth.CodeUse {
	return oauth.CodeUse{
		CodeHash: "code-" + name, Client: "app", RedirectURI: "https://portal/callback", Challenge: "challenge",
		AccessHash: "access-1-" + name, RefreshHash: "refresh-1-" + name, At: start.Add(time.Second),
	}
}

// rotation uses the refresh token of a generation, which makes the next.
func rotation(name string, generation int, at time.Time) oauth.Rotation {
	return oauth.Rotation{
		TokenHash: fmt.Sprintf("refresh-%d-%s", generation, name), Client: "app",
		Salt:        account.Secret(fmt.Sprintf("salt-%d", generation)),
		AccessHash:  fmt.Sprintf("access-%d-%s", generation+1, name),
		RefreshHash: fmt.Sprintf("refresh-%d-%s", generation+1, name),
		At:          at,
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantVerdict(t *testing.T, what string, got, want oauth.Verdict, err error) {
	t.Helper()
	if err != nil || got != want {
		t.Fatalf("%s: got %v, %v; want %v", what, got, err, want)
	}
}

func alive(t *testing.T, s *storecloudlink.Store, hash string, at time.Time) bool {
	t.Helper()
	_, err := s.Access(t.Context(), hash, at)
	if err != nil && !errors.Is(err, oauth.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestTicketIsSpentOnce(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		ticket := oauth.Ticket{Account: acme, Hash: "t", SessionHash: "s", Request: "r", ExpiresAt: start.Add(time.Minute)}
		ok(t, s.AddTicket(t.Context(), ticket))
		for name, change := range map[string]func(*oauth.Ticket){
			"other account": func(k *oauth.Ticket) { k.Account = other },
			"other session": func(k *oauth.Ticket) { k.SessionHash = "x" },
			"other request": func(k *oauth.Ticket) { k.Request = "x" },
			"unknown":       func(k *oauth.Ticket) { k.Hash = "x" },
		} {
			wrong := ticket
			change(&wrong)
			if err := s.Approve(t.Context(), approval(wrong, name)); !errors.Is(err, oauth.ErrTicket) {
				t.Errorf("%s: got %v, want ErrTicket", name, err)
			}
		}
		late := approval(ticket, "late")
		late.At = start.Add(time.Minute)
		if err := s.Approve(t.Context(), late); !errors.Is(err, oauth.ErrTicket) {
			t.Errorf("late: got %v, want ErrTicket", err)
		}
		ok(t, s.Approve(t.Context(), approval(ticket, "a")))
		if err := s.Approve(t.Context(), approval(ticket, "b")); !errors.Is(err, oauth.ErrTicket) {
			t.Errorf("second use: got %v, want ErrTicket", err)
		}
		trail, err := s.AuditTrail(t.Context(), acme, 10)
		ok(t, err)
		if len(trail) != 1 || trail[0].Action != "consent" || trail[0].Target != "grant-a" || !trail[0].At.Equal(start) {
			t.Errorf("audit trail %+v", trail)
		}
	})
}

func TestRedeem(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		approve(t, s, acme, "a")
		for name, test := range map[string]struct {
			change func(*oauth.CodeUse)
			want   oauth.Verdict
		}{
			"unknown":        {func(u *oauth.CodeUse) { u.CodeHash = "x" }, oauth.Unknown},
			"other client":   {func(u *oauth.CodeUse) { u.Client = "x" }, oauth.Foreign},
			"other redirect": {func(u *oauth.CodeUse) { u.RedirectURI += "/" }, oauth.Unknown},
			"NUL redirect":   {func(u *oauth.CodeUse) { u.RedirectURI += "\x00" }, oauth.Unknown},
			"wrong verifier": {func(u *oauth.CodeUse) { u.Challenge = "x" }, oauth.Unknown},
			"too late":       {func(u *oauth.CodeUse) { u.At = start.Add(oauth.CodeLifetime) }, oauth.Unknown},
		} {
			wrong := use("a")
			test.change(&wrong)
			_, verdict, err := s.Redeem(t.Context(), wrong)
			wantVerdict(t, name, verdict, test.want, err)
		}
		issued, verdict, err := s.Redeem(t.Context(), use("a"))
		wantVerdict(t, "right use after wrong ones", verdict, oauth.Accepted, err)
		want := start.Add(time.Second + time.Hour)
		if issued.Account != acme || issued.Subject != "person" || !issued.ExpiresAt.Equal(want) ||
			issued.Scope.String() != "psi:read psi:write" {
			t.Fatalf("issued %+v", issued)
		}
		if !alive(t, s, "access-1-a", want.Add(-time.Millisecond)) || alive(t, s, "access-1-a", want) {
			t.Fatal("the access token does not live exactly as long as the account says")
		}
		again := use("a")
		again.AccessHash, again.RefreshHash = "x", "y"
		_, verdict, err = s.Redeem(t.Context(), again)
		wantVerdict(t, "second use", verdict, oauth.Reused, err)
		if alive(t, s, "access-1-a", start.Add(2*time.Second)) {
			t.Fatal("a code was used twice and its tokens still work")
		}
	})
}

func TestRedeemInParallelSucceedsOnce(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		approve(t, s, acme, "a")
		verdicts := parallel(t, 100, func(ctx context.Context, i int) (oauth.Verdict, error) {
			u := use("a")
			u.AccessHash, u.RefreshHash = fmt.Sprint("a", i), fmt.Sprint("r", i)
			_, v, err := s.Redeem(ctx, u)
			return v, err
		})
		if verdicts[oauth.Accepted] != 1 || verdicts[oauth.Reused]+verdicts[oauth.Unknown] != 99 ||
			verdicts[oauth.Reused] == 0 {
			t.Fatalf("verdicts %v", verdicts)
		}
	})
}

func TestRotateInParallelMakesOnePair(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		approve(t, s, acme, "a")
		_, verdict, err := s.Redeem(t.Context(), use("a"))
		wantVerdict(t, "redeem", verdict, oauth.Accepted, err)
		var mu sync.Mutex
		salts := map[string]bool{}
		verdicts := parallel(t, 100, func(ctx context.Context, i int) (oauth.Verdict, error) {
			r := rotation("a", 1, start.Add(2*time.Second))
			r.Salt = account.Secret(fmt.Sprint("salt", i))
			r.AccessHash, r.RefreshHash = fmt.Sprint("a", i), fmt.Sprint("r", i)
			issued, v, err := s.Rotate(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			if v == oauth.Accepted {
				salts[r.Salt.Reveal()] = true
			} else {
				salts[issued.Salt.Reveal()] = true
			}
			return v, err
		})
		if verdicts[oauth.Accepted] != 1 || verdicts[oauth.Replayed] != 99 || len(salts) != 1 {
			t.Fatalf("verdicts %v with %d salts; want one rotation and one salt", verdicts, len(salts))
		}
	})
}

// parallel runs fn n times at once and counts the verdicts.
func parallel(t *testing.T, n int, fn func(context.Context, int) (oauth.Verdict, error)) map[oauth.Verdict]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	verdicts := make([]oauth.Verdict, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { verdicts[i], errs[i] = fn(ctx, i) })
	}
	wg.Wait()
	ok(t, errors.Join(errs...))
	count := map[oauth.Verdict]int{}
	for _, v := range verdicts {
		count[v]++
	}
	return count
}

func TestRotate(t *testing.T) {
	at := start.Add(time.Minute)
	for name, test := range map[string]struct {
		second   oauth.Rotation // after refresh-1 was used at "at"
		before   func(t *testing.T, s *storecloudlink.Store)
		want     oauth.Verdict
		survives bool
	}{
		"lost answer":              {second: rotation("a", 1, at.Add(29*time.Second)), want: oauth.Replayed, survives: true},
		"after the window":         {second: rotation("a", 1, at.Add(30*time.Second)), want: oauth.Reused},
		"the next generation":      {second: rotation("a", 2, at.Add(time.Hour)), want: oauth.Accepted, survives: true},
		"after its successor used": {second: rotation("a", 1, at.Add(2*time.Second)), before: useSecond, want: oauth.Reused},
		"expired":                  {second: rotation("a", 2, at.Add(24*time.Hour)), want: oauth.Unknown},
		"unknown":                  {second: rotation("zzz", 1, at), want: oauth.Unknown, survives: true},
		"other client": {
			second: func() oauth.Rotation { r := rotation("a", 1, at); r.Client = "x"; return r }(),
			want:   oauth.Foreign, survives: true,
		},
		"more scope than granted": {
			second: func() oauth.Rotation { r := rotation("a", 2, at); r.Scope = oauth.Scope{"psi:credentials"}; return r }(),
			want:   oauth.TooWide, survives: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *storecloudlink.Store) {
				approve(t, s, acme, "a")
				_, verdict, err := s.Redeem(t.Context(), use("a"))
				wantVerdict(t, "redeem", verdict, oauth.Accepted, err)
				first := rotation("a", 1, at)
				_, verdict, err = s.Rotate(t.Context(), first)
				wantVerdict(t, "first use", verdict, oauth.Accepted, err)
				if test.before != nil {
					test.before(t, s)
				}
				issued, verdict, err := s.Rotate(t.Context(), test.second)
				wantVerdict(t, "second use", verdict, test.want, err)
				if verdict == oauth.Replayed && !issued.Salt.Equal(first.Salt) {
					t.Error("a replay within the window must give the first salt back")
				}
				if got := alive(t, s, "access-2-a", at.Add(31*time.Second)); got != (test.survives || verdict == oauth.Unknown) {
					t.Errorf("the family lives: %v, want %v", got, test.survives)
				}
			})
		})
	}
}

func useSecond(t *testing.T, s *storecloudlink.Store) {
	_, verdict, err := s.Rotate(t.Context(), rotation("a", 2, start.Add(time.Minute+time.Second)))
	wantVerdict(t, "use of the successor", verdict, oauth.Accepted, err)
}

func TestRevoke(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		at := start.Add(time.Minute)
		for _, name := range []string{"a", "b"} {
			approve(t, s, acme, name)
			_, verdict, err := s.Redeem(t.Context(), use(name))
			wantVerdict(t, "redeem", verdict, oauth.Accepted, err)
		}
		for _, step := range []struct {
			hash, client string
			want         oauth.Verdict
		}{
			{"nothing", "app", oauth.Unknown}, {"access-1-a", "x", oauth.Foreign}, {"refresh-1-a", "x", oauth.Foreign},
			{"access-1-a", "app", oauth.Accepted},
		} {
			verdict, err := s.Revoke(t.Context(), step.hash, step.client, at)
			wantVerdict(t, step.hash, verdict, step.want, err)
		}
		if alive(t, s, "access-1-a", at) || !alive(t, s, "access-1-b", at) {
			t.Fatal("revoking an access token must end it, and it alone")
		}
		_, verdict, err := s.Rotate(t.Context(), rotation("a", 1, at))
		wantVerdict(t, "the refresh token lives on", verdict, oauth.Accepted, err)
		verdict, err = s.Revoke(t.Context(), "refresh-2-a", "app", at)
		wantVerdict(t, "revoke refresh", verdict, oauth.Accepted, err)
		_, verdict, err = s.Rotate(t.Context(), rotation("a", 2, at))
		wantVerdict(t, "rotate after revoke", verdict, oauth.Unknown, err)
		if alive(t, s, "access-2-a", at) {
			t.Fatal("revoking a refresh token must end the family's access tokens")
		}
	})
}

func TestLinks(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		at := start.Add(time.Minute)
		for _, name := range []string{"a", "b", "unused"} {
			approve(t, s, acme, name)
		}
		approve(t, s, other, "elsewhere")
		for _, name := range []string{"a", "b", "elsewhere"} {
			_, verdict, err := s.Redeem(t.Context(), use(name))
			wantVerdict(t, "redeem", verdict, oauth.Accepted, err)
		}
		page, err := s.Links(t.Context(), acme, "", 10, at)
		ok(t, err)
		if len(page) != 2 || page[0].Grant != "grant-a" || page[1].Grant != "grant-b" || page[0].Subject != "person" {
			t.Fatalf("links %+v", page)
		}
		page, err = s.Links(t.Context(), acme, "grant-a", 10, at)
		ok(t, err)
		if len(page) != 1 {
			t.Fatalf("second page %+v", page)
		}
		entry := oauth.AuditEntry{Account: acme, At: at, Action: "link_ended"}
		if err := s.EndLink(t.Context(), other, "grant-a", entry); !errors.Is(err, oauth.ErrNotFound) {
			t.Fatalf("another account's link: got %v", err)
		}
		ok(t, s.EndLink(t.Context(), acme, "grant-a", entry))
		if err := s.EndLink(t.Context(), acme, "grant-a", entry); !errors.Is(err, oauth.ErrNotFound) {
			t.Fatalf("ended twice: got %v", err)
		}
		if alive(t, s, "access-1-a", at) {
			t.Fatal("the link ended and its token lives")
		}
	})
}

func TestClients(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		entry := oauth.AuditEntry{Account: acme, At: start, Action: "client_added"}
		for _, id := range []string{"c1", "c2"} {
			ok(t, s.AddClient(t.Context(), oauth.Client{
				Account: acme, ID: id, Name: "Name " + id, SecretHash: "h", Scopes: []string{"psi:read"}, CreatedAt: start,
			}, entry))
		}
		got, err := s.Client(t.Context(), "c1")
		ok(t, err)
		if got.Account != acme || got.Name != "Name c1" || !got.May(oauth.ClientCredentials) ||
			got.May(oauth.AuthorizationCode) {
			t.Fatalf("client %+v", got)
		}
		ok(t, s.Issue(t.Context(), oauth.Issue{
			Account: acme, Grant: "g", Client: "c1", Scope: oauth.Scope{"psi:read"}, AccessHash: "cc",
			AccessLifetime: time.Hour, At: start,
		}))
		if page, err := s.ClientsOf(t.Context(), acme, "c1", 10); err != nil || len(page) != 1 || page[0].ID != "c2" {
			t.Fatalf("page %+v, %v", page, err)
		}
		if page, err := s.ClientsOf(t.Context(), other, "", 10); err != nil || len(page) != 0 {
			t.Fatalf("another account sees %+v, %v", page, err)
		}
		if err := s.RemoveClient(t.Context(), other, "c1", entry); !errors.Is(err, oauth.ErrNotFound) {
			t.Fatalf("another account's client: %v", err)
		}
		if !alive(t, s, "cc", start) {
			t.Fatal("the client's token should live")
		}
		ok(t, s.RemoveClient(t.Context(), acme, "c1", entry))
		if alive(t, s, "cc", start) {
			t.Fatal("the client is gone and its token lives")
		}
	})
}

func TestSessionsAndSweep(t *testing.T) {
	each(t, func(t *testing.T, s *storecloudlink.Store) {
		session := oauth.Session{Account: acme, Hash: "s", Subject: "person", ExpiresAt: start.Add(time.Hour)}
		ok(t, s.SignIn(t.Context(), session, oauth.AuditEntry{Account: acme, At: start, Action: "sign_in"}))
		got, err := s.Session(t.Context(), "s", start)
		ok(t, err)
		if got.Subject != "person" || got.Account != acme || !got.ExpiresAt.Equal(session.ExpiresAt) {
			t.Fatalf("session %+v", got)
		}
		if _, err := s.Session(t.Context(), "s", start.Add(time.Hour)); !errors.Is(err, oauth.ErrNotFound) {
			t.Fatalf("expired session: %v", err)
		}
		approve(t, s, acme, "a")
		_, verdict, err := s.Redeem(t.Context(), use("a"))
		wantVerdict(t, "redeem", verdict, oauth.Accepted, err)
		ok(t, s.Sweep(t.Context(), start.Add(2*time.Hour)))
		if _, err := s.Session(t.Context(), "s", start); !errors.Is(err, oauth.ErrNotFound) {
			t.Fatalf("swept session: %v", err)
		}
		_, verdict, err = s.Rotate(t.Context(), rotation("a", 1, start.Add(2*time.Hour)))
		wantVerdict(t, "a living refresh token is not swept", verdict, oauth.Accepted, err)
		ok(t, s.Sweep(t.Context(), start.Add(48*time.Hour)))
		verdict, err = s.Revoke(t.Context(), "refresh-2-a", "app", start)
		wantVerdict(t, "all is swept", verdict, oauth.Unknown, err)
		for _, age := range []time.Duration{364 * 24 * time.Hour, 366 * 24 * time.Hour} {
			ok(t, s.Sweep(t.Context(), start.Add(age)))
			trail, err := s.AuditTrail(t.Context(), acme, 100)
			if err != nil || (len(trail) > 0) != (age < 365*24*time.Hour) {
				t.Errorf("after %v the audit trail is %+v, %v", age, trail, err)
			}
		}
	})
}
