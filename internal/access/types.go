package access

import (
	"errors"
	"time"

	"demarc/internal/account"
)

// Errors that a caller tells apart. Detail is wrapped around them; messages say what to do.
var (
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("conflict")
	ErrInvalid   = errors.New("invalid input")
	ErrForbidden = errors.New("not allowed")
	ErrNoSession = errors.New("not signed in")
	ErrLinkUsed  = errors.New("this sign-in link has expired or was already used")
)

// Account is one tenant.
type Account struct {
	ID        account.ID
	Name      string
	Domain    string // SIP domain of its AoRs, lower case, unique
	CreatedAt time.Time
}

// SignInLink is a one-time link that signs one member in.
type SignInLink struct {
	Account   account.ID
	Member    account.MemberID
	Hash      string // of its token
	CreatedAt time.Time
	ExpiresAt time.Time
}

// WebSession is one browser that a member signed in with.
type WebSession struct {
	Account   account.ID
	ID        string // names it without giving it: the OAuth state is bound to this
	Member    account.MemberID
	Hash      string // of the cookie's value
	CreatedAt time.Time
	LastSeen  time.Time
	ExpiresAt time.Time
}
