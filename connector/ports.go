package connector

import (
	"context"
	"errors"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
)

// OAuth is the service's authorisation server as the link sees it. Exchange answers ErrCodeRefused for a bad code,
// Refresh answers ErrReauthorize for invalid_grant and nothing else; ErrUnreachable covers no answer, 429 and 5xx.
type OAuth interface {
	AuthorizeURL(base, state, challenge string) (string, error) // PKCE S256 (RFC 7636)
	Exchange(ctx context.Context, base, code, verifier string) (Tokens, error)
	Refresh(ctx context.Context, base string, refresh account.Secret) (Tokens, error)
	WhoAmI(ctx context.Context, base string, access account.Secret) (cloudlink.WhoAmI, error)
	Revoke(ctx context.Context, base string, refresh account.Secret) error
}

// ErrStale is a store's answer to a write that somebody else's newer one has overtaken.
var ErrStale = errors.New("overtaken by another refresh")

// Store is everything kept for links; each method is one transaction. store/connector implements it.
type Store interface {
	Apps
	Connectors
	Links
	Grants
	Leases
	Sweeper
}

// Apps keeps which accounts have the app.
type Apps interface {
	Install(ctx context.Context, acc account.ID, by account.MemberID, at time.Time) error
	Installed(ctx context.Context, acc account.ID) (bool, error)
}

// Connectors keeps connectors and their history.
type Connectors interface {
	Create(ctx context.Context, c Connector, e Event) error
	List(ctx context.Context, acc account.ID) ([]Connector, error)
	// Connector returns ErrNotFound for another account's connector too. Grants come newest first.
	Connector(ctx context.Context, acc account.ID, id ID) (Connector, []Grant, error)
	History(ctx context.Context, acc account.ID, id ID, limit int) ([]Event, error)
}

// Links keeps links under way.
type Links interface {
	// Begin saves an attempt and drops those that ended before stale.
	Begin(ctx context.Context, a Attempt, stale time.Time) error
	// Take burns the attempt of this account and session with this state hash: of many callers one gets it, the others
	// and strangers get ErrStateUnknown.
	Take(ctx context.Context, acc account.ID, session, state string) (Attempt, error)
	// Link saves a grant, ends older grants of the same subject, which it returns, and sets the connector to linked.
	// ErrWrongAccount when the connector is linked with another account of the service: only Unlink ends that.
	Link(ctx context.Context, h Held, e Event) (replaced []Held, err error)
	// Unlink ends every working grant, forgets its tokens, sets the connector to unlinked, and returns what was ended.
	Unlink(ctx context.Context, acc account.ID, id ID, reason string, e Event) ([]Held, error)
}

// Grants keeps grants and their tokens.
type Grants interface {
	Working(ctx context.Context, acc account.ID, id ID) ([]Held, error) // newest first
	Due(ctx context.Context, at time.Time, limit int) ([]GrantKey, error)
	// Rotate saves new tokens as generation+1. Only the generation guards it, never a lease: tokens that the service
	// gave out must not be lost. ErrStale when the generation has moved on.
	Rotate(ctx context.Context, key GrantKey, generation int64, t Tokens, refreshAt time.Time, e Event) error
}

// Leases lets one process at a time refresh a grant.
type Leases interface {
	// Acquire returns the grant as it stands under the lease; ok is false while somebody else holds it, and then Held
	// is as it stands too.
	Acquire(ctx context.Context, key GrantKey, ttl time.Duration) (l Lease, h Held, ok bool, err error)
	Release(ctx context.Context, l Lease) error
	// Postpone counts a failed refresh and gives the lease back. note goes to the connector's reason, e to its history
	// on the first failure.
	Postpone(ctx context.Context, l Lease, generation int64, retryAt time.Time, note string, e Event) error
	// End ends the grant unless its generation has moved on. When it was the last one the connector becomes needs_auth
	// with the reason.
	End(ctx context.Context, l Lease, generation int64, reason string, e Event) error
}

// Kept says what a sweep leaves.
type Kept struct {
	Attempts time.Time // links under way that ended at or after this
	Grants   time.Time // ended grants, from this on; working ones stay
	Events   int       // newest events of each connector
}

// Sweeper removes what nobody needs any more, in many small transactions.
type Sweeper interface {
	Sweep(ctx context.Context, k Kept) error
}
