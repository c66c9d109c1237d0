package provisioning

import (
	"fmt"
	"strings"
	"time"
)

// EventKind is what can happen to a device's sync state.
type EventKind string

// The events.
const (
	CredentialArrived EventKind = "credential_arrived" // the sync brought a new or changed SIP credential
	CredentialLost    EventKind = "credential_lost"    // the PBX side no longer hands one over
	CameOn            EventKind = "came_on"            // a registration was accepted
	TookBack          EventKind = "took_back"          // the phone itself ended its registration
	Lapsed            EventKind = "lapsed"             // it expired, its connection closed, or it was displaced
	Failed            EventKind = "failed"             // a registration was refused or got no answer
)

// Event is one thing that happened to a device.
type Event struct {
	Kind EventKind
	At   time.Time
	Code int    // SIP status for Failed, 0 when no answer came
	Text string // why, in plain words
	// Until is when a registration ends that CameOn knows of by a report alone.
	Until time.Time
}

// States returns the states by rank, lowest first: a user's state is the highest of their devices'.
func States() []SyncState { return []SyncState{Pending, Inactive, Registered, SIPError} }

// Events returns the kinds of events.
func Events() []EventKind {
	return []EventKind{CredentialArrived, CredentialLost, CameOn, TookBack, Lapsed, Failed}
}

// rank orders the states; an unknown one is the lowest.
func (s SyncState) rank() int {
	for i, known := range States() {
		if s == known {
			return i
		}
	}
	return -1
}

// Next is the whole state machine of a device.
//
// What the registrar sees is a fact and wins over what we believe: came_on always registers. An error stays until the
// phone registers or ends its registration itself: neither a fresh credential nor the running out of an old
// registration has made it work. Without a credential an error only repeats what the pending reason says.
func Next(s SyncState, e EventKind) SyncState {
	switch e {
	case CredentialLost:
		return Pending
	case CameOn:
		return Registered
	case CredentialArrived:
		if s == Pending {
			return Inactive
		}
	case TookBack:
		if s == Registered || s == SIPError {
			return Inactive
		}
	case Lapsed:
		if s == Registered {
			return Inactive
		}
	case Failed:
		if s != Pending {
			return SIPError
		}
	}
	return s
}

// TextAsleep is what an inactive device shows whose phone sleeps behind a closed connection: it is inactive, because
// nothing reaches it right now, and well, because a push does.
const TextAsleep = "asleep: a push wakes it"

// Happen applies an event and reports whether support staff would see a difference.
func (d *Device) Happen(e Event) bool {
	before := *d
	d.State = Next(d.State, e.Kind)
	switch e.Kind {
	case CameOn:
		d.LastRegistered, d.ReportedUntil = e.At, e.Until
		d.SIPCode, d.SIPText = 0, ""
	case TookBack, Lapsed:
		if d.State == Inactive && (before.State != Inactive || before.SIPText == TextAsleep) {
			d.SIPCode, d.SIPText = 0, e.Text
		}
	case Failed:
		if d.State == SIPError {
			d.SIPCode, d.SIPText = e.Code, e.Text
		}
	case CredentialLost:
		d.SIPCode, d.SIPText = 0, e.Text
	case CredentialArrived:
		if before.State == Pending {
			d.SIPCode, d.SIPText = 0, ""
		}
	}
	if d.State != Registered {
		d.ReportedUntil = time.Time{}
	}
	changed := d.State != before.State || d.SIPCode != before.SIPCode || d.SIPText != before.SIPText
	if changed {
		d.ChangedAt = e.At
	}
	return changed
}

// StateTable renders the machine for docs/state-machines.md: a table and a Mermaid diagram.
func StateTable() string {
	var b strings.Builder
	b.WriteString("| state |")
	for _, e := range Events() {
		fmt.Fprintf(&b, " %s |", e)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(Events())) + "\n")
	for _, s := range States() {
		fmt.Fprintf(&b, "| **%s** |", s)
		for _, e := range Events() {
			fmt.Fprintf(&b, " %s |", Next(s, e))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n```mermaid\nstateDiagram-v2\n    [*] --> pending: no credential\n    [*] --> inactive: credential\n")
	for _, s := range States() {
		for _, e := range Events() {
			if to := Next(s, e); to != s {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", s, to, e)
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}
