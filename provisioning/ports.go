package provisioning

import (
	"context"
	"errors"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
)

// Source is one connector's service as the sync sees it. A refusal of the service is a *cloudlink.Error.
type Source interface {
	Name() string // for people
	PBXs(ctx context.Context) ([]cloudlink.PBX, error)
	// Users returns one page; next is "" for the first page and on the last one.
	Users(ctx context.Context, next string) (users []cloudlink.UserWithEndpoints, nextPage string, err error)
	Credential(ctx context.Context, userID, endpointID string) (cloudlink.Credential, error)
}

// RegistrationFeed is the registrar's change feed. The rows of one node are numbered without gaps from 1.
type RegistrationFeed interface {
	Nodes(ctx context.Context) ([]string, error)
	Since(ctx context.Context, node string, n int64, limit int) ([]telephony.RegistrationChange, error)
}

// ErrStale is a store's answer to a write under a lease or cursor that somebody else has moved on.
var ErrStale = errors.New("overtaken by another process")

// Store is everything kept for provisioning; each method is one transaction. store/provisioning implements it.
type Store interface {
	Roster
	Records
	Tickets
	Syncs
	Cursors
	Sweeper
}

// Roster keeps who is on the integration.
type Roster interface {
	// Admit runs plan over all integrated users of the account and applies what it returns. It makes a member with the
	// role user for an email that is new to the account. plan may run more than once.
	Admit(ctx context.Context, acc account.ID, plan func(existing []IntegratedUser) (Admission, error)) error
	Users(ctx context.Context, acc account.ID) ([]IntegratedUser, error)
	// Remove deletes a user with credentials, devices and codes; the timeline stays.
	Remove(ctx context.Context, acc account.ID, id UserID, e timeline.Entry) error
	Timeline(ctx context.Context, acc account.ID, id UserID, limit int) ([]timeline.Entry, error)
}

// Admission is what Admit is to write.
type Admission struct {
	Add     []IntegratedUser // Member is filled in by the store
	Update  []IntegratedUser // name and extensions
	Entries []timeline.Entry
}

// Held is what is kept for a device: its owner, and the credential of its kind, nil while there is none.
type Held struct {
	Device     Device
	User       IntegratedUser
	Credential *Credential
}

// Records keeps what is known of each user. Hashes are left out but in Held.
type Records interface {
	Record(ctx context.Context, acc account.ID, id UserID) (Record, error)
	List(ctx context.Context, acc account.ID, f StatusFilter) (page []Record, next string, counts map[SyncState]int,
		err error)
	// Change runs a rule over the record of a device's owner and writes its changes.
	Change(ctx context.Context, acc account.ID, id DeviceID, rule func(*Record) error) error
	// Held returns what the device with this token hash is to have. open is asked, with all of it but the hashes, whether
	// they are to be opened; its error is returned.
	Held(ctx context.Context, tokenHash string, open func(Held) (bool, error)) (Held, error)
	// Lapse runs a rule over the records of up to limit devices whose ReportedUntil is not after now, and returns how
	// many devices it found.
	Lapse(ctx context.Context, now time.Time, limit int, rule func(*Record)) (int, error)
	// Authenticate returns the device with this token hash.
	Authenticate(ctx context.Context, tokenHash string) (Device, error)
}

// Ticket is a one-time code or link under way; its secret is kept as a hash.
type Ticket struct {
	Account   account.ID
	User      UserID
	Hash      string
	Purpose   string // code or document
	Kind      cloudlink.DeviceKind
	App       string // for document
	ExpiresAt time.Time
}

// Tickets keeps one-time codes and links.
type Tickets interface {
	// Issue saves a ticket and drops the user's tickets that have expired before stale; ErrConflict when the user has most
	// tickets already.
	Issue(ctx context.Context, t Ticket, stale time.Time, most int, e timeline.Entry) error
	// Redeem burns a ticket and runs the rule over its user's record, with hashes, in one transaction: when the rule
	// fails the ticket stays good. Of many callers one succeeds; ErrExpired for the others, and for unknown hashes.
	Redeem(ctx context.Context, purpose, hash string, rule func(Ticket, *Record) error) error
}

// SyncLease is the right to sync one account.
type SyncLease struct {
	Account account.ID
	Run     string
	Epoch   int64
}

// Syncs keeps runs of the sync.
type Syncs interface {
	// BeginSync takes the account's lease and records the run; an earlier run that never ended is closed as
	// interrupted. ErrBusy while another run holds the lease.
	BeginSync(ctx context.Context, run SyncRun, ttl time.Duration) (SyncLease, error)
	RenewSync(ctx context.Context, l SyncLease, ttl time.Duration) error
	// Snapshot returns all records of the account, without devices, by user id.
	Snapshot(ctx context.Context, acc account.ID) ([]Record, error)
	// ApplyPage runs the rule over the users' records, with hashes, and writes their changes with the run's progress,
	// if the lease still holds. Users that are gone are left out.
	ApplyPage(ctx context.Context, l SyncLease, users []UserID, rule func([]*Record) SyncRun) error
	// EndSync writes the run's end and gives the lease back.
	EndSync(ctx context.Context, l SyncLease, run SyncRun) error
	SyncRuns(ctx context.Context, acc account.ID, limit int) ([]SyncRun, error)
}

// Cursors keeps how far each node's change feed was applied.
type Cursors interface {
	Cursor(ctx context.Context, node string) (int64, error)
	// Follow moves the cursor from after to the last change's number, and runs the rule for each change over the record
	// whose credential has its AoR; changes of AoRs without an integrated user are passed over.
	Follow(ctx context.Context, node string, after int64, changes []telephony.RegistrationChange,
		rule func(telephony.RegistrationChange, *Record)) error
}

// Kept says what a sweep leaves.
type Kept struct {
	Tickets time.Time // one-time codes and links that ended at or after this
	Entries int       // newest timeline entries of each user
	Gone    time.Time // timeline entries of users who were removed, from this on
	Runs    int       // newest sync runs of each account
}

// Sweeper removes what nobody needs any more, in many small transactions.
type Sweeper interface {
	Sweep(ctx context.Context, k Kept) error
}
