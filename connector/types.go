package connector

import (
	"errors"
	"time"

	"demarc/internal/account"
)

// Errors of the link, each with one page that says what to do. Detail is wrapped around them.
var (
	ErrNotFound        = errors.New("no such connector")
	ErrNotInstalled    = errors.New("the app is not installed in this account")
	ErrConsentDenied   = errors.New("consent was cancelled")
	ErrStateUnknown    = errors.New("this sign-in was not started here, or was already used")
	ErrStateExpired    = errors.New("this sign-in took too long")
	ErrWrongIssuer     = errors.New("the answer came from another service")
	ErrCodeRefused     = errors.New("the service refused the code")
	ErrUnreachable     = errors.New("the service cannot be reached")
	ErrReauthorize     = errors.New("the authorisation has ended: an admin must connect again")
	ErrInvalid         = errors.New("invalid input")
	ErrWrongPermission = errors.New("the person who signed in may not link the phone system")
	ErrWrongAccount    = errors.New("the person who signed in belongs to another account of the service")
)

// ID names a connector.
type ID string

// Connector is the configured link from an account to one CloudLink-like service.
type Connector struct {
	Account   account.ID
	ID        ID
	Name      string
	BaseURL   string // https://host[:port], no path
	CreatedAt time.Time
	CreatedBy account.MemberID
	State     State
	Reason    string // why it is not linked, in plain words
	ChangedAt time.Time
}

// State says whether the sync can use the connector.
type State string

// The states of a connector.
const (
	Unlinked  State = "unlinked"   // no grant yet
	Linked    State = "linked"     // a grant works
	NeedsAuth State = "needs_auth" // every grant has ended
)

// Grant is one admin's OAuth authorisation on a connector. Its tokens are sealed in the store and never listed.
type Grant struct {
	Account    account.ID
	Connector  ID
	ID         string
	Subject    string // userId at the service
	Email      string // of the person who signed in there
	GrantedBy  account.MemberID
	GrantedAt  time.Time
	Generation int64     // counts token rotations
	ExpiresAt  time.Time // of the access token
	EndedAt    time.Time // zero while it works
	EndReason  string
}

// Tokens is what the token endpoint gave.
type Tokens struct {
	Access    account.Secret
	Refresh   account.Secret
	ExpiresAt time.Time
	Scope     string
}

// Callback is what the browser brings back from the service.
type Callback struct {
	Code             string
	State            string
	Issuer           string // iss (RFC 9207)
	Error            string
	ErrorDescription string
}

// Event is one line of a connector's history.
type Event struct {
	Account   account.ID
	Connector ID
	At        time.Time
	Actor     string // member id, or "demarc"
	Text      string
}

// Attempt is a link under way: what Begin remembers until the browser comes back.
type Attempt struct {
	Account   account.ID
	Connector ID
	Member    account.MemberID
	Session   string         // hash of the browser session
	State     string         // hash of the state parameter
	Verifier  account.Secret // PKCE code verifier
	ExpiresAt time.Time
}

// GrantKey names a grant.
type GrantKey struct {
	Account   account.ID
	Connector ID
	Grant     string
}

// Held is a grant with its tokens and what the refresh goes by.
type Held struct {
	Grant
	RemoteAccount string // the service's account, when the grant is saved
	Tokens        Tokens
	RefreshAt     time.Time // when to refresh
	RetryAt       time.Time // not before, after failures
	Failures      int       // refreshes in a row that got no answer
}

// Key returns the grant's name.
func (h Held) Key() GrantKey { return GrantKey{h.Account, h.Connector, h.Grant.ID} }

// Lease is the right to refresh one grant, until the store's clock says otherwise. Epoch fences off an earlier holder.
type Lease struct {
	Key   GrantKey
	Epoch int64
}
