package access_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
)

// memory keeps everything in maps; the SQL one is tested with the same rules in store/access.
type memory struct {
	accounts []access.Account
	members  []account.Member
	links    map[string]access.SignInLink
	sessions map[string]access.WebSession
	touched  int
	down     error
	now      func() time.Time
}

func (m *memory) CreateAccount(_ context.Context, a access.Account, owner account.Member) error {
	m.accounts, m.members = append(m.accounts, a), append(m.members, owner)
	return m.down
}

func (m *memory) Accounts(context.Context) ([]access.Account, error) { return m.accounts, m.down }

func (m *memory) Account(_ context.Context, ref string) (access.Account, error) {
	for _, a := range m.accounts {
		if string(a.ID) == ref || a.Domain == ref {
			return a, nil
		}
	}
	return access.Account{}, access.ErrNotFound
}

func (m *memory) AddMember(_ context.Context, n account.Member, _ time.Time) error {
	m.members = append(m.members, n)
	return nil
}

func (m *memory) Members(context.Context, account.ID) ([]account.Member, error) {
	return m.members, nil
}

func (m *memory) MemberByEmail(_ context.Context, id account.ID, email string) (account.Member, error) {
	i := slices.IndexFunc(m.members, func(n account.Member) bool { return n.Account == id && n.Email == email })
	if i < 0 {
		return account.Member{}, access.ErrNotFound
	}
	return m.members[i], nil
}

func (m *memory) SaveLink(_ context.Context, l access.SignInLink) error {
	m.links[l.Hash] = l
	return nil
}

func (m *memory) BurnLink(
	_ context.Context, hash, old string, fresh access.WebSession,
) (account.Member, error) {
	l, ok := m.links[hash]
	if !ok || !m.now().Before(l.ExpiresAt) {
		return account.Member{}, access.ErrLinkUsed
	}
	delete(m.links, hash)
	delete(m.sessions, old)
	fresh.Account, fresh.Member = l.Account, l.Member
	m.sessions[fresh.Hash] = fresh
	return m.member(l.Member), nil
}

func (m *memory) member(id account.MemberID) account.Member {
	return m.members[slices.IndexFunc(m.members, func(n account.Member) bool { return n.ID == id })]
}

func (m *memory) Session(_ context.Context, hash string) (access.WebSession, account.Member, error) {
	if m.down != nil {
		return access.WebSession{}, account.Member{}, m.down
	}
	s, ok := m.sessions[hash]
	if !ok {
		return access.WebSession{}, account.Member{}, access.ErrNotFound
	}
	return s, m.member(s.Member), nil
}

func (m *memory) TouchSession(_ context.Context, s access.WebSession, at time.Time) error {
	m.touched++
	s.LastSeen = at
	m.sessions[s.Hash] = s
	return nil
}

func (m *memory) EndSessions(_ context.Context, id account.ID, member account.MemberID, session string) error {
	for hash, s := range m.sessions {
		if s.Account == id && s.Member == member && (session == "" || s.ID == session) {
			delete(m.sessions, hash)
		}
	}
	return nil
}

func newService(t *testing.T) (*access.Service, *memory, *clock, access.Account) {
	t.Helper()
	c := newClock()
	m := &memory{links: map[string]access.SignInLink{}, sessions: map[string]access.WebSession{}, now: c.Now}
	s := access.New(access.Config{Accounts: m, Members: m, Sessions: m, Now: c.Now})
	a, err := s.CreateAccount(t.Context(), "Example", "PBX.Example.com.", "Owner@Example.com")
	if err != nil {
		t.Fatal(err)
	}
	return s, m, c, a
}

func signIn(t *testing.T, s *access.Service, a access.Account) account.Secret {
	t.Helper()
	token, _, err := s.IssueSignIn(t.Context(), a.ID, " OWNER@example.com")
	if err != nil {
		t.Fatal(err)
	}
	cookie, p, err := s.SignIn(t.Context(), token, "")
	if err != nil || p.Actor != access.Owner || p.Account != a.ID {
		t.Fatalf("sign in: %+v, %v", p, err)
	}
	return cookie
}

func TestSignInLinkWorksOnceAndTenMinutes(t *testing.T) {
	s, _, c, a := newService(t)
	token, _, err := s.IssueSignIn(t.Context(), a.ID, "owner@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.SignIn(t.Context(), token, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.SignIn(t.Context(), token, ""); !errors.Is(err, access.ErrLinkUsed) {
		t.Errorf("second use: %v", err)
	}
	late, _, _ := s.IssueSignIn(t.Context(), a.ID, "owner@example.com")
	c.add(access.LinkLifetime)
	if _, _, err := s.SignIn(t.Context(), late, ""); !errors.Is(err, access.ErrLinkUsed) {
		t.Errorf("after ten minutes: %v", err)
	}
	if _, _, err := s.IssueSignIn(t.Context(), a.ID, "stranger@example.com"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	cases := []struct {
		name string
		do   func(s *access.Service, c *clock, cookie account.Secret)
		ends bool
	}{
		{"used now and then", func(s *access.Service, c *clock, k account.Secret) {
			for range 11 {
				c.add(time.Hour)
				_, _ = s.Authenticate(context.Background(), k)
			}
		}, false},
		{"idle", func(_ *access.Service, c *clock, _ account.Secret) { c.add(access.SessionIdle) }, true},
		{"only peeked at", func(s *access.Service, c *clock, k account.Secret) {
			for range 4 {
				c.add(30 * time.Minute)
				_, _ = s.Peek(context.Background(), k)
			}
		}, true},
		{"too old", func(s *access.Service, c *clock, k account.Secret) {
			for range 12 {
				c.add(time.Hour)
				_, _ = s.Authenticate(context.Background(), k)
			}
		}, true},
		{"signed out", func(s *access.Service, _ *clock, k account.Secret) {
			p, _ := s.Authenticate(context.Background(), k)
			_ = s.SignOut(context.Background(), p)
		}, true},
		{"revoked", func(s *access.Service, _ *clock, k account.Secret) {
			p, _ := s.Authenticate(context.Background(), k)
			_ = s.RevokeSessions(context.Background(), p.Account, p.Member.ID)
		}, true},
		{"signed in anew in the same browser", func(s *access.Service, _ *clock, k account.Secret) {
			p, _ := s.Authenticate(context.Background(), k)
			token, _, _ := s.IssueSignIn(context.Background(), p.Account, p.Member.Email)
			_, _, _ = s.SignIn(context.Background(), token, k)
		}, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s, _, c, a := newService(t)
			cookie := signIn(t, s, a)
			tc.do(s, c, cookie)
			_, err := s.Authenticate(t.Context(), cookie)
			if tc.ends != errors.Is(err, access.ErrNoSession) {
				t.Errorf("want ended %v, got %v", tc.ends, err)
			}
		})
	}
}

func TestReadingPagesWritesOnceAMinute(t *testing.T) {
	s, m, c, a := newService(t)
	cookie := signIn(t, s, a)
	for range 120 {
		c.add(time.Second)
		if _, err := s.Authenticate(t.Context(), cookie); err != nil {
			t.Fatal(err)
		}
	}
	if m.touched != 2 {
		t.Errorf("%d writes in two minutes, want 2", m.touched)
	}
}

func TestAStoreThatIsAwayIsNotASignOut(t *testing.T) {
	s, m, _, a := newService(t)
	cookie := signIn(t, s, a)
	m.down = errors.New("store is away")
	_, err := s.Authenticate(t.Context(), cookie)
	if errors.Is(err, access.ErrNoSession) || !errors.Is(err, m.down) {
		t.Errorf("got %v", err)
	}
}

func TestCreateAccountRefuses(t *testing.T) {
	s, _, _, a := newService(t)
	if a.Domain != "pbx.example.com" {
		t.Errorf("domain %q", a.Domain)
	}
	for _, c := range []struct{ name, domain, owner string }{
		{"", "a.example", "o@a.example"},
		{"A", "", "o@a.example"},
		{"A", "two words", "o@a.example"},
		{"A", "a.example/path", "o@a.example"},
		{"A", "a.example", "nobody"},
		{"A", "a.example", "Name <o@a.example>"},
	} {
		if _, err := s.CreateAccount(t.Context(), c.name, c.domain, c.owner); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAccountIsChosenOnlyWhenItIsClear(t *testing.T) {
	s, _, _, a := newService(t)
	if got, err := s.Account(t.Context(), ""); err != nil || got.ID != a.ID {
		t.Errorf("the only one: %v %v", got, err)
	}
	if _, err := s.CreateAccount(t.Context(), "Two", "two.example", "o@two.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Account(t.Context(), ""); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("two and none named: %v", err)
	}
	if got, err := s.Account(t.Context(), "Two.Example"); err != nil || got.Name != "Two" {
		t.Errorf("by domain: %v %v", got, err)
	}
}

func TestWhoMayNameAdmins(t *testing.T) {
	s, _, _, a := newService(t)
	as := func(r account.Role) access.Principal {
		return access.OfMember(account.Member{Account: a.ID, Role: r}, "ses_1")
	}
	cases := []struct {
		by   access.Principal
		role account.Role
		want error
	}{
		{as(account.Owner), account.Owner, nil},
		{as(account.Owner), account.Admin, nil},
		{as(account.Admin), account.Admin, access.ErrForbidden},
		{as(account.Admin), account.Owner, access.ErrForbidden},
		{as(account.Admin), account.Support, nil},
		{as(account.Admin), "root", access.ErrInvalid},
		{as(account.Support), account.User, access.ErrForbidden},
		{as(account.User), account.User, access.ErrForbidden},
		{access.OfOperator(a.ID), account.Owner, nil},
		{access.OfDevice(a.ID, "dev_1"), account.User, access.ErrForbidden},
		{access.Principal{}, account.User, access.ErrNoSession},
	}
	for _, c := range cases {
		_, err := s.AddMember(t.Context(), c.by, "new@example.com", "", c.role)
		if !errors.Is(err, c.want) {
			t.Errorf("%s names %s: %v, want %v", c.by.Actor, c.role, err, c.want)
		}
	}
}
