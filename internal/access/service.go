package access

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"demarc/internal/account"
)

// Accounts stores accounts.
type Accounts interface {
	// CreateAccount adds the account and its owner; ErrConflict when the id or the domain is taken.
	CreateAccount(ctx context.Context, a Account, owner account.Member) error
	// Accounts lists accounts by name.
	Accounts(ctx context.Context) ([]Account, error)
	// Account returns the account with that id or SIP domain, or ErrNotFound.
	Account(ctx context.Context, idOrDomain string) (Account, error)
}

// Members stores members.
type Members interface {
	// AddMember adds a member; ErrConflict when the account has that e-mail address.
	AddMember(ctx context.Context, m account.Member, at time.Time) error
	// Members lists an account's members by name.
	Members(ctx context.Context, id account.ID) ([]account.Member, error)
	// MemberByEmail returns ErrNotFound when the account has no such member.
	MemberByEmail(ctx context.Context, id account.ID, email string) (account.Member, error)
}

// Sessions stores sign-in links and web sessions.
type Sessions interface {
	SaveLink(ctx context.Context, l SignInLink) error
	// BurnLink uses the link up, deletes the session that the browser had before, and adds the new one for the link's
	// member (whose Account and Member it fills in), all or nothing. ErrLinkUsed when the link is not there, used or over.
	BurnLink(ctx context.Context, linkHash, oldSessionHash string, fresh WebSession) (account.Member, error)
	// Session returns the session with its member, or ErrNotFound.
	Session(ctx context.Context, hash string) (WebSession, account.Member, error)
	TouchSession(ctx context.Context, s WebSession, at time.Time) error
	// EndSessions deletes one session, or all of the member when the id is empty.
	EndSessions(ctx context.Context, id account.ID, member account.MemberID, session string) error
}

// Lifetimes of what lets somebody in.
const (
	LinkLifetime    = 10 * time.Minute
	SessionLifetime = 12 * time.Hour
	SessionIdle     = 2 * time.Hour
	// touchEvery bounds the writes that reading pages causes.
	touchEvery = time.Minute
)

// Config of a Service.
type Config struct {
	Accounts Accounts
	Members  Members
	Sessions Sessions
	Now      func() time.Time
}

// Service answers who somebody is and keeps accounts and members.
type Service struct {
	accounts Accounts
	members  Members
	sessions Sessions
	now      func() time.Time
}

// New returns a Service.
func New(c Config) *Service {
	return &Service{accounts: c.Accounts, members: c.Members, sessions: c.Sessions, now: c.Now}
}

// CreateAccount makes an account and its owner.
func (s *Service) CreateAccount(ctx context.Context, name, domain, ownerEmail string) (Account, error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 200 {
		return Account{}, fmt.Errorf("%w: give the account a name of 1 to 200 letters", ErrInvalid)
	}
	domain, err := parseDomain(domain)
	if err != nil {
		return Account{}, err
	}
	email, err := parseEmail(ownerEmail)
	if err != nil {
		return Account{}, err
	}
	a := Account{ID: account.ID(account.NewID("acc")), Name: name, Domain: domain, CreatedAt: s.now()}
	owner := account.Member{
		Account: a.ID, ID: account.MemberID(account.NewID("mem")), Email: email, Name: email, Role: account.Owner,
	}
	return a, s.accounts.CreateAccount(ctx, a, owner)
}

// Accounts lists every account; it is for the operator alone.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) { return s.accounts.Accounts(ctx) }

// Account returns the account with that id or SIP domain. An empty reference means the only account there is.
func (s *Service) Account(ctx context.Context, idOrDomain string) (Account, error) {
	if idOrDomain != "" {
		return s.accounts.Account(ctx, strings.ToLower(idOrDomain))
	}
	all, err := s.accounts.Accounts(ctx)
	if err != nil {
		return Account{}, err
	}
	switch len(all) {
	case 0:
		return Account{}, fmt.Errorf("%w: there is no account yet: create one first", ErrNotFound)
	case 1:
		return all[0], nil
	}
	return Account{}, fmt.Errorf("%w: there are %d accounts: name one by id or SIP domain", ErrInvalid, len(all))
}

// AddMember adds a member. The actor needs NameAdmin for the roles owner and admin.
func (s *Service) AddMember(
	ctx context.Context, p Principal, email, name string, r account.Role,
) (account.Member, error) {
	verb := AddMember
	if r == account.Owner || r == account.Admin {
		verb = NameAdmin
	}
	if _, err := p.May(verb); err != nil {
		return account.Member{}, err
	}
	if _, err := account.ParseRole(string(r)); err != nil {
		return account.Member{}, fmt.Errorf("%w: %s", ErrInvalid, err)
	}
	email, err := parseEmail(email)
	if err != nil {
		return account.Member{}, err
	}
	if name = strings.TrimSpace(name); name == "" {
		name = email
	}
	if len(name) > 200 {
		return account.Member{}, fmt.Errorf("%w: a name has at most 200 letters", ErrInvalid)
	}
	m := account.Member{
		Account: p.Account, ID: account.MemberID(account.NewID("mem")), Email: email, Name: name, Role: r,
	}
	return m, s.members.AddMember(ctx, m, s.now())
}

// Members lists the members of an account.
func (s *Service) Members(ctx context.Context, id account.ID) ([]account.Member, error) {
	return s.members.Members(ctx, id)
}

func parseEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 {
		return "", fmt.Errorf("%w: %q is not an e-mail address: write name@example.com", ErrInvalid, s)
	}
	return strings.ToLower(s), nil
}

// parseDomain accepts a DNS name or an IP address, since both are hosts of a SIP URI (RFC 3261 §25.1).
func parseDomain(s string) (string, error) {
	d := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	outside := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != ':' && r != '[' && r != ']'
	}
	if d == "" || len(d) > 253 || strings.ContainsFunc(d, outside) {
		return "", fmt.Errorf("%w: %q is not a SIP domain: write a name like pbx.example.com", ErrInvalid, s)
	}
	return d, nil
}
