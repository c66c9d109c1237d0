package sip

import "time"

// State is where a transaction stands (RFC 3261 §17, RFC 6026).
type State uint8

// The states. Proceeding holds what §17.2.2 calls Trying too: no answer or a provisional one.
const (
	Proceeding State = iota + 1
	Completed        // a final answer went out; retransmissions get it again
	Accepted         // a 2xx to INVITE went out: the user sends it again until the ACK (RFC 6026)
	Confirmed        // the ACK to a final non-2xx came; further ones are absorbed
	Terminated
	Calling // of a client: nothing has come back (§17.1)
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Proceeding:
		return "proceeding"
	case Completed:
		return "completed"
	case Accepted:
		return "accepted"
	case Confirmed:
		return "confirmed"
	case Terminated:
		return "terminated"
	case Calling:
		return "calling"
	}
	return "unknown"
}

// Answered returns the state after an answer, and how long it is kept: timer J of a non-INVITE transaction, H and L of
// an INVITE. Timers J and I are zero on a reliable transport (§17.2.2, §17.2.1).
func Answered(status int, invite, reliable bool, t Timers) (State, time.Duration) {
	switch {
	case status < 200:
		return Proceeding, 0
	case invite && status < 300:
		return Accepted, 64 * t.T1
	case invite:
		return Completed, 64 * t.T1
	case reliable:
		return Terminated, 0
	}
	return Completed, 64 * t.T1
}

// Acknowledged returns the state after the ACK of an INVITE, and how long it is kept: timer I.
func Acknowledged(s State, reliable bool, t Timers) (State, time.Duration) {
	switch {
	case s != Completed:
		return s, 0
	case reliable:
		return Terminated, 0
	}
	return Confirmed, t.T4
}

// Timers are the base values of all SIP timers (RFC 3261 §17.1.1.1). A zero field means its default.
type Timers struct {
	T1 time.Duration // round-trip estimate; 500 ms
	T2 time.Duration // longest retransmission interval; 4 s
	T4 time.Duration // longest life of a message in the network; 5 s
}

// WithDefaults returns the timers with what is left open filled in.
func (t Timers) WithDefaults() Timers {
	if t.T1 <= 0 {
		t.T1 = 500 * time.Millisecond
	}
	if t.T2 <= 0 {
		t.T2 = 4 * time.Second
	}
	if t.T4 <= 0 {
		t.T4 = 5 * time.Second
	}
	return t
}
