package telephony

import (
	"time"

	"demarc/internal/account"
)

// RegistrationChangeKind says what happened to a registration.
type RegistrationChangeKind string

// The kinds of registration changes.
const (
	BindingRegistered   RegistrationChangeKind = "registered"     // a new binding, or one that came back, or over another way
	BindingUnregistered RegistrationChangeKind = "unregistered"   // the phone removed it (Expires: 0)
	BindingExpired      RegistrationChangeKind = "expired"        // it ran out without a refresh
	BindingFlowClosed   RegistrationChangeKind = "flow_closed"    // its connection closed, and phones are reached by flow only
	BindingDisplaced    RegistrationChangeKind = "displaced"      // it was dropped for a newer one: at the contact limit, or at its contact
	BindingAsleep       RegistrationChangeKind = "asleep"         // its connection closed, and a push wakes the phone (RFC 8599)
	BindingUnreachable  RegistrationChangeKind = "unreachable"    // it stopped to answer keep-alives
	PushMalformed       RegistrationChangeKind = "push_malformed" // its push parameters cannot be used: Text says why
	RegisterRefused     RegistrationChangeKind = "refused"        // a REGISTER with credentials was refused: Code and Text say why
	GuessesSpent        RegistrationChangeKind = "silenced"       // an address answered wrongly so often that it is not heard for a while: Text says more
	HandshakeFailed     RegistrationChangeKind = "tls_failed"     // a TLS handshake failed that was most likely this user's phone's: Text says why
)

// OfBinding reports whether bindings are other ones after the change; else it only tells of something.
func (k RegistrationChangeKind) OfBinding() bool {
	return k != RegisterRefused && k != GuessesSpent && k != HandshakeFailed
}

// RegistrationChange is one row of the registrar's change feed. (Node, N) numbers the rows of one node without gaps;
// the order across nodes is not defined. Refreshes are not changes, unless the phone is reached another way since.
type RegistrationChange struct {
	Account   account.ID
	Node      string
	N         int64
	At        time.Time
	Kind      RegistrationChangeKind
	AoR       AoR
	Instance  string // the URN of +sip.instance without brackets and quotes (RFC 5626 §4.1), or empty
	Contact   string // the contact URI as the phone wrote it, without userinfo parameters that hold secrets
	UserAgent string // as the phone says, at most 128 bytes
	Transport Transport
	Remote    string    // ip:port the phone was seen at
	Expires   time.Time // end of the binding, for registered
	Code      int       // SIP status code, for refused
	Text      string    // for support staff: what was wrong and what to do
}
