package telephony

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"demarc/internal/account"
)

// CallID names a call across nodes and restarts; it has nothing to do with the Call-IDs of its legs. It is 24 lower-case hexadecimal
// digits: when the call began, in milliseconds since 1970, in 12 of them, and chance. So the order of ids is that of the calls.
type CallID string

// FirstCallID is what the ids of calls that began at a time begin with: less than all of them, and more than any earlier one's.
func FirstCallID(at time.Time) CallID { return CallID(fmt.Sprintf("%012x", max(0, at.UnixMilli()))) }

// Begun returns when the call began as its id says, in milliseconds since 1970; false for what is no id.
func (id CallID) Begun() (millis int64, ok bool) {
	const digits = 12
	if len(id) < digits {
		return 0, false
	}
	millis, err := strconv.ParseInt(string(id[:digits]), 16, 64)
	return millis, err == nil
}

// CallState says how far a call is.
type CallState string

// The states of a call as people see them.
const (
	CallRinging CallState = "ringing" // not answered yet
	CallTalking CallState = "talking" // answered, held included
	CallEnded   CallState = "ended"
)

// CallRecord is one call in history (a CDR): written when it begins, is answered, changes its people, and once when it
// ends.
type CallRecord struct {
	Account    account.ID
	ID         CallID
	Node       string // that has the call
	Epoch      int64  // rises when another node takes the call; an older writer is refused
	State      CallState
	Caller     AoR
	CallerName string
	Dialled    string // what the caller asked for, as an AoR or a number
	StartedAt  time.Time
	AnsweredAt time.Time // zero when it was not
	EndedAt    time.Time // zero while it lasts
	Cause      Cause     // of the end
	Legs       []LegRecord
}

// LegRecord is one leg of a call in history.
type LegRecord struct {
	Leg        int // from 1, the caller's
	AoR        AoR // whose phone, zero for a trunk
	Instance   string
	Phone      string // what the phone calls itself, or the trunk's name
	Remote     string // ip:port
	SIPCallID  string // the Call-ID header, to find it in a trace
	StartedAt  time.Time
	AnsweredAt time.Time
	EndedAt    time.Time
	Cause      Cause
	Media      MediaReport
}

// CallChange is what is written of a call at once: its record, and the state another node could go on with; none once it
// has ended.
type CallChange struct {
	Record CallRecord
	State  account.Secret // holds SRTP keys
}

// MediaHabit is how a phone protects the media of the calls that it begins.
type MediaHabit struct {
	Account  account.ID
	AoR      AoR
	Device   string    // its instance, or else its Contact
	Security string    // "none", "sdes" or "dtls"
	SeenAt   time.Time // to the ms
}

// CallFilter chooses calls of an account.
type CallFilter struct {
	Party AoR       // only calls of this user; zero: all
	Live  bool      // only calls that have not ended
	Since time.Time // started at that time or later; zero: all
	After string    // cursor of the page before
	Limit int       // of a page, 1 to 500
}

// What can be wrong with a question about calls.
var (
	ErrNoCall     = errors.New("the account has no such call, or none any more: look for its id in the list of calls")
	ErrCallEnded  = errors.New("the call has ended already")
	ErrNoLeg      = errors.New("the call has no such leg that talks with exactly one other: look at its legs")
	ErrNotInBoth  = errors.New("who has that leg does not talk in the other call: name the leg of who is in both")
	ErrCallAway   = errors.New("another node has the call: ask there")
	ErrCallCursor = errors.New("the cursor is not one that a page of calls gave: begin with the first page")
)
