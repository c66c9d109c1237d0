package softphone

import "time"

// State is how far a phone is on its way to being reachable.
type State string

// The states. Their transitions are in Follows.
const (
	Starting   State = "starting"   // asking the server for the SIP credential
	Pending    State = "pending"    // there is none yet: Status.Text says whose turn it is
	Connecting State = "connecting" // trying the addresses of the PBX
	Registered State = "registered" // reachable
	Failed     State = "failed"     // no address worked, or the server did not answer: tries again at Status.Retry
	Revoked    State = "revoked"    // no longer enrolled: final
	Stopped    State = "stopped"    // un-registered at the caller's wish: final
)

// Follows lists the states that may come after s.
func (s State) Follows() []State {
	switch s {
	case Starting:
		return []State{Pending, Connecting, Failed, Revoked, Stopped}
	case Pending:
		return []State{Pending, Connecting, Failed, Revoked, Stopped}
	case Connecting:
		return []State{Connecting, Registered, Failed, Pending, Revoked, Stopped}
	case Registered:
		return []State{Registered, Connecting, Failed, Pending, Revoked, Stopped}
	case Failed:
		return []State{Failed, Connecting, Pending, Revoked, Stopped}
	case Revoked, Stopped:
	}
	return nil
}

// Status is what a phone tells of itself.
type Status struct {
	State     State
	Cause     Cause     // for Failed, and for Connecting after a failure
	Code      int       // SIP status of the last failure; 0 when no answer came
	Text      string    // plain words: what is going on, or what is wrong and what to do
	Registrar string    // host:port in use or tried last
	Transport string    // tls, tcp or udp
	Route     string    // role of the address: sbc, backup or internal
	Expires   time.Time // for Registered: until when, unless refreshed
	Retry     time.Time // for Failed and Pending: when the next attempt is due
	At        time.Time // when this status came about
}

// Account is what the phone is: for display.
type Account struct {
	DisplayName     string
	Extension       string
	CallerID        string
	VoicemailNumber string
	AoR             string // user@domain
}
