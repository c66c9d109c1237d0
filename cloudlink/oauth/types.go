package oauth

import (
	"errors"
	"slices"
	"strings"
	"time"

	"demarc/internal/account"
)

// Lifetimes that no account changes.
const (
	CodeLifetime   = 5 * time.Minute
	TicketLifetime = 15 * time.Minute
	ReplayWindow   = 30 * time.Second // a lost answer to a rotation may be asked for again this long
)

// Errors that the storage answers with.
var (
	ErrNotFound = errors.New("no such token, client or session")
	ErrTicket   = errors.New("this form was already sent, or is too old")
)

// GrantType is a way to come by a token.
type GrantType string

// The grant types of this service.
const (
	AuthorizationCode GrantType = "authorization_code"
	RefreshToken      GrantType = "refresh_token"
	ClientCredentials GrantType = "client_credentials"
)

// Client is an application that asks for tokens. Every client has a secret.
type Client struct {
	Account      account.ID // empty: an app of the service itself, for the admins of every account
	ID           string
	Name         string
	SecretHash   string
	RedirectURIs []string // compared whole, character by character (RFC 9700 §2.1)
	Grants       []GrantType
	Scopes       []string // the most it may ask for
	CreatedAt    time.Time
	CreatedBy    string
}

// May reports whether the client may use a grant type.
func (c Client) May(g GrantType) bool { return slices.Contains(c.Grants, g) }

// Person is an admin of an account who may sign in and consent.
type Person struct {
	Account account.ID
	ID      string
	Email   string
	Name    string
	Role    string
}

// Session is a signed-in browser.
type Session struct {
	Account   account.ID
	Hash      string
	Subject   string
	ExpiresAt time.Time
}

// Access is what a living access token allows.
type Access struct {
	Account   account.ID
	Grant     string
	Client    string
	Subject   string // a person's id, or the client's id for client_credentials
	Scope     Scope
	ExpiresAt time.Time
}

// Link is a living authorisation that a person gave to an app: how the service knows the apps linked to an account.
type Link struct {
	Grant     string
	Client    string
	Subject   string
	Scope     Scope
	CreatedAt time.Time
}

// AuditEntry is one deed that somebody may have to answer for.
type AuditEntry struct {
	Account     account.ID
	At          time.Time
	Actor       string // person or client
	Client      string
	Action      string
	Target      string
	Correlation string
	Remote      string
}

// Scope is a set of scope names, sorted, each once.
type Scope []string

// ParseScope reads a space separated list (RFC 6749 §3.3).
func ParseScope(s string) Scope {
	names := strings.Fields(s)
	slices.Sort(names)
	return slices.Compact(names)
}

// Has reports whether the scope holds a name.
func (s Scope) Has(name string) bool { return slices.Contains(s, name) }

// Within reports whether every name of s is in limit.
func (s Scope) Within(limit []string) bool {
	return !slices.ContainsFunc(s, func(name string) bool { return !slices.Contains(limit, name) })
}

// Cut returns the names of s that are in limit.
func (s Scope) Cut(limit []string) Scope {
	return slices.DeleteFunc(slices.Clone(s), func(name string) bool { return !slices.Contains(limit, name) })
}

// String joins the names by spaces, as the protocol does.
func (s Scope) String() string { return strings.Join(s, " ") }

// Error is a refusal in the words of RFC 6749 §4.1.2.1 and §5.2.
type Error struct {
	Code        string
	Description string
}

// The codes of refusals.
const (
	InvalidRequest          = "invalid_request"
	InvalidClient           = "invalid_client"
	InvalidGrant            = "invalid_grant"
	InvalidScope            = "invalid_scope"
	UnauthorizedClient      = "unauthorized_client"
	UnsupportedGrantType    = "unsupported_grant_type"
	UnsupportedResponseType = "unsupported_response_type"
	AccessDenied            = "access_denied"
)

// Error returns the code and its description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

func refuse(code, description string) *Error { return &Error{Code: code, Description: description} }
