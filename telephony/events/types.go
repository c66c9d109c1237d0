package events

import (
	"context"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// Request is a SUBSCRIBE. Strings do not alias the receive buffer.
type Request struct {
	Flow      telephony.Flow
	Target    telephony.AoR // Request-URI
	From, To  string        // as they stand, without the tags
	User      telephony.AoR // of From
	RemoteTag string        // the From tag
	ToTag     string        // empty for a new subscription
	LocalTag  string        // the tag that a response gets
	CallID    string
	CSeq      uint32
	Event     string // package
	EventID   string // the id parameter
	Accept    []string
	Expires   int // seconds, -1 when absent
	Contact   string
	Route     []string // Record-Route values, in order: the route set (RFC 3261 §12.1.1)
	Authorize []string
}

// Reply is the answer to a SUBSCRIBE.
type Reply struct {
	Status     int
	Reason     string
	Challenges []string
	Expires    int // of a 2xx; -1 when there is none to be told
	MinExpires int
	RetryAfter int
	Accept     string // for 406
	Events     bool   // Allow-Events is to be told
	Sender     registration.Sender
}

// Notify is a NOTIFY to be sent over the flow.
type Notify struct {
	Flow    telephony.Flow
	URI     string
	Route   []string
	From    string // with tag
	To      string // with tag
	CallID  string
	CSeq    uint32
	Event   string
	State   string // Subscription-State
	Type    string // Content-Type
	Content []byte
}

// Sender sends NOTIFYs.
type Sender interface {
	// Notify returns the status of the response, and after which time the phone wants to be asked again (RFC 3261 §20.33), 0 when
	// it names none. An error means that no response came before ctx ended, or timer F.
	Notify(ctx context.Context, n Notify) (status int, again time.Duration, err error)
}

// Timeline takes what happened to a user. It does not block.
type Timeline interface {
	Note(telephony.AoR, timeline.Entry)
}

// Authenticator tells who sent a request.
type Authenticator interface {
	Authenticate(ctx context.Context, c authentication.Credentials) authentication.Verdict
}

// Directory knows who exists.
type Directory interface {
	Subscriber(ctx context.Context, aor telephony.AoR) (authentication.Subscriber, error)
}

// Registrations knows which bindings of an AoR stand.
type Registrations interface {
	Bindings(aor telephony.AoR) []registration.Binding
}

// Waiting counts a user's voice messages.
type Waiting struct{ New, Old, UrgentNew, UrgentOld int }

// Messages knows the messages of a user.
type Messages interface {
	Messages(ctx context.Context, acc account.ID, aor telephony.AoR) (Waiting, error)
}

// Elsewhere is told whose dialogs are watched here, for they may be at another node. It does not block.
type Elsewhere interface {
	Watch(acc account.ID, aor telephony.AoR)
	Unwatch(aor telephony.AoR)
}

// Dialog is one dialog of a user as a watcher sees it (RFC 4235 §4.1).
type Dialog struct {
	ID        string // unique within the user
	State     string // trying, proceeding, early, confirmed, terminated
	Initiator bool   // the user called
	Remote    telephony.AoR
	Since     time.Time
}

// Dialogs knows in which dialogs a user is.
type Dialogs interface {
	Dialogs(ctx context.Context, acc account.ID, aor telephony.AoR) ([]Dialog, error)
}
