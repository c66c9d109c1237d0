// Package timeline holds the noun of one thing that happened to one integrated user: what support staff read to learn
// why a phone works or does not. Features write entries in the transaction of the change they tell of.
//
// It owns no storage. No compatibility promise.
package timeline

import (
	"time"

	"demarc/internal/account"
)

// Kind says what happened; it is stable and machine-readable.
type Kind string

// The kinds of entries.
const (
	Added            Kind = "added"             // the member was put on the integration
	Removed          Kind = "removed"           // taken off it
	CredentialSynced Kind = "credential_synced" // a SIP credential arrived or changed
	CredentialLost   Kind = "credential_lost"   // the PBX side no longer hands it over
	SyncFailed       Kind = "sync_failed"       // the PBX side did not hand the credential over
	CodeIssued       Kind = "code_issued"       // a one-time enrolment code or link was made
	Enrolled         Kind = "enrolled"          // a device enrolled
	Revoked          Kind = "revoked"           // a device was revoked
	Fetched          Kind = "fetched"           // a device fetched its credential
	Registered       Kind = "registered"        // a device registered
	Unregistered     Kind = "unregistered"      // a device took its registration back, or it expired, or its flow closed
	SIPError         Kind = "sip_error"         // a registration was refused or did not get an answer
	CallFailed       Kind = "call_failed"       // a call did not come about, or ended by a fault
	Warning          Kind = "warning"           // works, but something should be looked at
)

// Entry is one thing that happened to one integrated user.
type Entry struct {
	ID      string // of one that may be written again, where it stands once: those of one time are in its order. Empty: it is new
	Account account.ID
	User    string // integrated user id
	At      time.Time
	Kind    Kind
	Device  string // device id, or empty
	Code    int    // SIP status code, or 0
	Text    string // plain words for support staff, with what to do next
	Actor   string // who caused it: a member id, "sync", "registrar", "device"
}
