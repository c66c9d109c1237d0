package cloudlink

import (
	"fmt"
	"time"
)

// The API's base paths under https://{host}.
const (
	PathAuthentication = "/authentication/2017-09-01"
	PathAdmin          = "/admin/2017-09-01"
	PathPSI            = "/psi/2017-09-01" // (ours) phone system integration
)

// HeaderCorrelationID is on every reply; support asks for it.
const HeaderCorrelationID = "x-mitel-correlation-id"

// The scopes that a link asks for (ours).
const (
	ScopeRead       = "psi:read"
	ScopeWrite      = "psi:write"
	ScopeCredential = "psi:credentials"
)

// Error is the body of every error reply.
type Error struct {
	Code          string       `json:"code"`
	Message       string       `json:"message"`
	CorrelationID string       `json:"correlationId"`
	Errors        []FieldError `json:"errors,omitempty"` // (ours)

	Status     int           `json:"-"` // HTTP status
	RetryAfter time.Duration `json:"-"` // of a 429 or 503, else 0
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error returns the message with its correlation id.
func (e *Error) Error() string {
	return fmt.Sprintf("cloudlink: %d %s: %s (correlation id %s)", e.Status, e.Code, e.Message, e.CorrelationID)
}

// List is one page; clients follow Links.Next only and never build it themselves.
type List[T any] struct {
	Count    int   `json:"count"` // items on this page
	Links    Links `json:"_links"`
	Embedded struct {
		Items []T `json:"items"`
	} `json:"_embedded"`
}

// Links of a page. Next is absent on the last one and carries an opaque $skiptoken.
type Links struct {
	Self string `json:"self"`
	Next string `json:"next,omitempty"`
}

// WhoAmI is the reply of GET /token. Booleans and times are strings on this one resource.
type WhoAmI struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId"`
	Role      string `json:"role"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	ClientID  string `json:"clientId"`
	Scope     string `json:"scope"`
	ExpiresOn string `json:"expiresOn"` // RFC 3339
	Verified  string `json:"emailVerified"`
}

// Account is a tenant of the service.
type Account struct {
	AccountID               string `json:"accountId"`
	Name                    string `json:"name"`
	AccessTokenExpiryHours  int    `json:"accessTokenExpiryHours"`
	RefreshTokenExpiryHours int    `json:"refreshTokenExpiryHours"`
}

// User is a person as the service knows them.
type User struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	Extension string `json:"extension"`
	Role      string `json:"role"`
	SiteID    string `json:"siteId,omitempty"`
}

// PBX describes the phone system behind the service (ours).
type PBX struct {
	PBXID               string      `json:"pbxId"`
	Type                string      `json:"type"` // osv, os4k, mivb or generic
	Realm               string      `json:"realm"`
	Domain              string      `json:"domain"` // SIP domain of the AoRs
	Registrars          []Registrar `json:"registrars"`
	SRTP                string      `json:"srtp"`                // required, preferred or off
	RegistrationExpires int         `json:"registrationExpires"` // seconds
	KeepaliveSeconds    int         `json:"keepaliveSeconds"`
}

// RegistrarRole says what a registrar address is for.
type RegistrarRole string

// The roles of registrar addresses.
const (
	RoleSBC      RegistrarRole = "sbc"      // the outside route
	RoleBackup   RegistrarRole = "backup"   // the outside route when the first fails
	RoleInternal RegistrarRole = "internal" // the PBX itself, on site
)

// Registrar is one address where a softphone may register.
type Registrar struct {
	Role      RegistrarRole `json:"role"`
	Host      string        `json:"host"`
	Port      int           `json:"port"`
	Transport string        `json:"transport"`       // tls, tcp, udp, or wss for browsers (RFC 7118)
	Path      string        `json:"path,omitempty"`  // of the WebSocket's URL; empty: any
	Realm     string        `json:"realm,omitempty"` // when it differs from the PBX's
}

// DeviceKind says which of a user's two endpoints is meant.
type DeviceKind string

// The kinds of endpoints; each takes a licence of its own on the PBX.
const (
	Desktop DeviceKind = "desktop"
	Mobile  DeviceKind = "mobile"
)

// Licence says whether the PBX has a licence for an endpoint.
type Licence string

// The licence states.
const (
	LicenceOK      Licence = "ok"
	LicenceMissing Licence = "missing"
)

// SIPEndpoint is one registration that a user may make (ours).
type SIPEndpoint struct {
	EndpointID   string     `json:"endpointId"`
	UserID       string     `json:"userId"`
	DeviceKind   DeviceKind `json:"deviceKind"`
	SIPUsername  string     `json:"sipUsername"`
	AuthUsername string     `json:"authUsername"`
	Realm        string     `json:"realm"`
	Domain       string     `json:"domain"`
	PBXID        string     `json:"pbxId"`
	Status       string     `json:"status"` // active or disabled
	Licence      Licence    `json:"licence"`
	ETag         string     `json:"etag"` // changes with the credential
}

// Credential is the answer of GET …/sipendpoints/{endpointId}/credential (ours): a password in all but name.
type Credential struct {
	Username        string      `json:"username"` // authentication user name
	Realm           string      `json:"realm"`
	Digests         []Digest    `json:"digests"`
	Registrars      []Registrar `json:"registrars"`
	VoicemailNumber string      `json:"voicemailNumber,omitempty"`
	CallerID        string      `json:"callerId,omitempty"`
	SRTP            string      `json:"srtp,omitempty"` // required, preferred or off; empty: as the PBX says
	ETag            string      `json:"etag"`
	NotAfter        *time.Time  `json:"notAfter,omitempty"`
}

// Digest is one HA1 under one algorithm. It is the one type of this package that carries a secret in the clear, because
// it is the wire form; its String hides it.
type Digest struct {
	Algorithm string `json:"algorithm"`
	HA1       string `json:"ha1"`
}

// String shows the algorithm alone.
func (d Digest) String() string { return d.Algorithm + " ***" }

// GoString shows the algorithm alone.
func (d Digest) GoString() string { return d.String() }

// TokenReply is the answer of the token endpoint (RFC 6749 §5.1), in the clear.
type TokenReply struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// String hides the tokens.
func (t TokenReply) String() string {
	return fmt.Sprintf("{%s *** expires_in=%d scope=%q}", t.TokenType, t.ExpiresIn, t.Scope)
}

// GoString hides the tokens.
func (t TokenReply) GoString() string { return t.String() }

// Page wraps items as the service sends them.
func Page[T any](items []T, links Links) List[T] {
	l := List[T]{Count: len(items), Links: links}
	l.Embedded.Items = items
	if l.Embedded.Items == nil {
		l.Embedded.Items = []T{}
	}
	return l
}
