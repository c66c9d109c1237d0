package provisioning

import (
	"errors"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
)

// Errors that a caller tells apart. Detail is wrapped around them; messages say what to do.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid input")
	ErrExpired  = errors.New("expired or already used")
	ErrPending  = errors.New("no SIP credential yet") // a *PendingError says why and whose turn it is
	ErrMassLoss = errors.New("too many users would lose their SIP credential")
	ErrBusy     = errors.New("a sync of this account is already running")
)

// PendingError says why a device has no credential yet. errors.Is(err, ErrPending) holds.
type PendingError struct {
	Reason string // plain words, with whose turn it is and since when
}

// Error returns the reason.
func (e *PendingError) Error() string { return e.Reason }

// Is makes every PendingError an ErrPending.
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// UserID names an integrated user.
type UserID string

// DeviceID names a device.
type DeviceID string

// SyncState is how far a device has come on its way to making calls.
type SyncState string

// The sync states. For a user they rank sip_error over registered over inactive over pending.
const (
	Pending    SyncState = "pending"    // no SIP credential yet
	Inactive   SyncState = "inactive"   // has a credential, is not registered
	Registered SyncState = "registered" // registered with the SBC or PBX
	SIPError   SyncState = "sip_error"  // the last registration was refused or got no answer
)

// IntegratedUser is a member put on the integration.
type IntegratedUser struct {
	Account account.ID
	ID      UserID
	Member  account.MemberID
	Email   string
	Name    string
	// Extension is what is shown: the given one, else what the PBX says. GivenExtension alone is used for matching:
	// a number that moved to somebody else on the PBX must not carry its credential to the wrong person.
	Extension      string
	GivenExtension string
	AddedAt        time.Time

	CloudLinkUser string    // the service's userId once matched, or empty
	PendingReason string    // why there is no credential, whose turn it is; empty once there is one
	PendingSince  time.Time // since when
	LastSync      time.Time // last sync that looked at this user, zero if none
}

// Credential is what one kind of device of one integrated user registers with.
type Credential struct {
	Account         account.ID
	User            UserID
	Kind            cloudlink.DeviceKind
	EndpointID      string
	SIPUsername     string
	AuthUsername    string
	Realm           string
	Domain          string // SIP domain of the AoR, lower case
	Hashes          []digest.Hash
	Registrars      []cloudlink.Registrar
	SRTP            string // required, preferred or off
	RegisterExpires int    // seconds
	Keepalive       int    // seconds
	VoicemailNumber string
	CallerID        string
	SourceETag      string // the service's etag, to skip what did not change
	ETag            string // ours, over everything that a softphone is handed
	SyncedAt        time.Time
}

// DeviceOrigin says how a device became known.
type DeviceOrigin string

// The origins.
const (
	OriginSDK      DeviceOrigin = "sdk"      // enrolled with a one-time code
	OriginDocument DeviceOrigin = "document" // fetched a provisioning document through a one-time link
	OriginObserved DeviceOrigin = "observed" // never enrolled: the registrar saw it register
)

// Device is one softphone or phone of an integrated user, with its sync state.
type Device struct {
	Account    account.ID
	ID         DeviceID
	User       UserID
	Name       string
	Kind       cloudlink.DeviceKind
	Origin     DeviceOrigin
	Instance   string // URN it registers with as +sip.instance
	EnrolledAt time.Time
	LastSeen   time.Time // last API use or registration event

	State     SyncState
	SIPCode   int    // for sip_error; 0 when no SIP answer came (TLS, DNS, timeout)
	SIPText   string // for sip_error: plain words; for inactive: why it stopped
	ChangedAt time.Time
	// LastRegistered is when it was registered last (zero: never).
	LastRegistered time.Time
	// ReportedUntil is until when a registration stands that is known by the device's own report alone (zero: none).
	ReportedUntil time.Time
	// DeniedAt is when the device itself last said that it is not registered (zero once it said that it is).
	DeniedAt time.Time
	// Seen and SeenAt are the last word of the registrar's own feed on this device (empty: it never spoke of it).
	Seen        telephony.RegistrationChangeKind
	SeenAt      time.Time
	UserAgent   string
	Remote      string
	Transport   string
	FetchedETag string // of the handout it fetched last
}

// Status is one line of what support staff see: a user, the user's state by the ranking, and the device that
// decides it.
type Status struct {
	User    IntegratedUser
	State   SyncState
	SIPCode int
	Text    string // plain words: why pending and whose turn, inactive never or since when, error and what to do
	Device  string // name of the deciding device, or empty
	Changed time.Time
	Devices []Device
}

// StatusFilter selects users for a list.
type StatusFilter struct {
	States []SyncState // empty: all
	Search string      // part of name, email or extension, without regard to case
	After  string      // opaque: the Next of the page before
	Limit  int         // 1–500, 100 when 0
}

// StatusPage is one page of users by name.
type StatusPage struct {
	Users  []Status
	Next   string            // empty on the last page
	Counts map[SyncState]int // over the whole account, whatever the filter
}

// NewUser is the input for adding one integrated user.
type NewUser struct {
	Email     string
	Name      string
	Extension string // optional
}

// ImportReport tells what a CSV import did, or would do.
type ImportReport struct {
	DryRun    bool
	Rows      int // data rows read
	Add       int
	Update    int // name or extension differ from what is stored
	Unchanged int
	Errors    []RowError // when there is one, nothing is applied
	Warnings  []RowError
}

// RowError is a fault of one row; rows count from 1 and the header is row 1, as a spreadsheet shows them.
type RowError struct {
	Row     int
	Column  string
	Message string
}

// EnrolmentCode is a one-time code that a user types or scans. Code is shown once.
type EnrolmentCode struct {
	Code      account.Secret
	Link      account.Secret // demarc:// link with server, code and CA, for the QR picture
	User      UserID
	Kind      cloudlink.DeviceKind
	ExpiresAt time.Time
}

// DocumentLink is a one-time link to a provisioning document for a softphone that is not ours. URL is shown once.
type DocumentLink struct {
	URL       account.Secret
	App       string // linphone
	User      UserID
	ExpiresAt time.Time
}

// Enrolment is what a device gets for its code.
type Enrolment struct {
	Device Device
	Token  account.Secret // bearer token of this device alone
}

// SyncRun is one run of the sync.
type SyncRun struct {
	Account   account.ID
	ID        string
	StartedAt time.Time
	EndedAt   time.Time // zero while running
	Looked    int       // integrated users looked at
	Changed   int
	Pending   int
	Failed    int
	Error     string // why the run stopped, or empty
}

// Handout is everything that a softphone is handed for registering.
type Handout struct {
	Device     Device
	User       IntegratedUser
	Credential Credential
	CAPEM      []byte // the CA to trust for the registrars, or empty
	ETag       string // over all of it
}

// Document is a provisioning document for a softphone that is not ours.
type Document struct {
	ContentType string
	Body        []byte // holds an HA1: never log it
}
