package oauth

import (
	"context"
	"time"

	"demarc/internal/account"
)

// Grants keeps grants with their codes and tokens. A grant is one family: everything that came from one consent. Each
// method is one transaction; what must happen at most once is one conditional statement within it.
type Grants interface {
	// Approve burns the form's ticket and keeps the new grant with its code; ErrTicket if the ticket is gone.
	Approve(ctx context.Context, a Approval) error
	// Redeem uses a code and keeps the first pair. A second use by the code's own client ends the grant.
	Redeem(ctx context.Context, u CodeUse) (Issued, Verdict, error)
	// Rotate uses a refresh token and keeps the pair made from it and the salt; see Verdict.
	Rotate(ctx context.Context, r Rotation) (Issued, Verdict, error)
	// Issue keeps a grant of the client itself with an access token and no refresh token.
	Issue(ctx context.Context, i Issue) error
	// Revoke ends what the token stands for: the grant for a refresh token, itself for an access token.
	Revoke(ctx context.Context, tokenHash, client string, at time.Time) (Verdict, error)
}

// Bearers finds what an access token allows; ErrNotFound if it does not live.
type Bearers interface {
	Access(ctx context.Context, tokenHash string, at time.Time) (Access, error)
}

// Clients keeps the clients that an account's admin made.
type Clients interface {
	Client(ctx context.Context, id string) (Client, error) // ErrNotFound
	AddClient(ctx context.Context, c Client, a AuditEntry) error
	ClientsOf(ctx context.Context, acc account.ID, after string, limit int) ([]Client, error) // by id
	RemoveClient(ctx context.Context, acc account.ID, id string, a AuditEntry) error          // ends its grants
}

// Sessions keeps signed-in browsers and the tickets of the forms shown to them.
type Sessions interface {
	SignIn(ctx context.Context, s Session, a AuditEntry) error
	Session(ctx context.Context, hash string, at time.Time) (Session, error) // ErrNotFound
	SignOut(ctx context.Context, s Session) error
	AddTicket(ctx context.Context, t Ticket) error
}

// Links lists and ends the authorisations that people of an account gave.
type Links interface {
	Links(ctx context.Context, acc account.ID, after string, limit int, at time.Time) ([]Link, error) // by grant id
	EndLink(ctx context.Context, acc account.ID, grant string, a AuditEntry) error                    // ErrNotFound
}

// Audit keeps deeds. A deed that cannot be kept is not done.
type Audit interface {
	Record(ctx context.Context, a AuditEntry) error
}

// Verdict says how the use of a code or refresh token was judged.
type Verdict int

// The verdicts.
const (
	Unknown  Verdict = iota // no such thing, expired, ended, or another client's
	Accepted                // used now, for the first time
	Replayed                // used within the replay window: Issued holds the salt that gave the pair
	Reused                  // used before: the grant has been ended
	Foreign                 // belongs to another client; nothing was changed
	TooWide                 // asks for a scope that was never granted; nothing was changed
)

// String returns the verdict's name.
func (v Verdict) String() string {
	return [...]string{"unknown", "accepted", "replayed", "reused", "foreign", "too wide"}[v]
}

// Ticket ties a form to the session that it was shown to and to the request that it showed.
type Ticket struct {
	Account     account.ID
	Hash        string
	SessionHash string
	Request     string // Request.Digest
	ExpiresAt   time.Time
}

// Approval is a person's consent.
type Approval struct {
	Ticket          Ticket
	Grant           string
	Client          string
	Subject         string
	Scope           Scope
	RedirectURI     string
	Challenge       string
	CodeHash        string
	CodeExpires     time.Time
	AccessLifetime  time.Duration
	RefreshLifetime time.Duration
	At              time.Time
	Audit           AuditEntry
}

// CodeUse is a client's attempt to turn a code into tokens. Challenge is computed from the verifier that it sent.
type CodeUse struct {
	CodeHash    string
	Client      string
	RedirectURI string
	Challenge   string
	AccessHash  string
	RefreshHash string
	At          time.Time
}

// Rotation is a client's use of a refresh token. The new tokens are made from the old token and Salt, so that the same
// pair can be made again for a lost answer although only hashes are kept.
type Rotation struct {
	TokenHash   string
	Client      string
	Salt        account.Secret
	AccessHash  string
	RefreshHash string
	Scope       Scope // of the access token; empty: as granted
	At          time.Time
}

// Issued is what came of a use.
type Issued struct {
	Account   account.ID
	Subject   string
	Grant     string
	Granted   Scope // of the grant
	Scope     Scope // of the access token
	ExpiresAt time.Time
	Salt      account.Secret // for Replayed
}

// Issue is a client's own token.
type Issue struct {
	Account        account.ID
	Grant          string
	Client         string
	Scope          Scope
	AccessHash     string
	AccessLifetime time.Duration
	At             time.Time
}
