package callswitch

import (
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Event is one thing that happened to a call: Signal is what the edge told, or else Fact what anybody else did.
type Event struct {
	At     time.Time
	Chance uint32 // random, to be used once
	Leg    int    // whose it is, where the exchange knows it by more than the transaction; else 0
	Signal signal.Event
	Fact   Fact
}

// Fact is what an event tells that does not come from the edge. Those that every call has are pointers, perhaps into a Spare.
type Fact interface{ fact() }

// Prepared answers Prepare: what a leg needs that is made of chance, keys and ports.
type Prepared struct {
	Leg     int
	CallID  string // for a leg that we begin
	Tag     string // ours
	Contact string // the URI that reaches this leg on every node
	Media   telephony.MediaID
	Local   sdp.Local
	Session uint64 // of o=
	Policy  sdp.Policy
	Setting sdp.Security // the device's own, where one is set
	Refused *Refusal     // nothing of the above: no ports, a limit
}

// Routed answers Route.
type Routed struct {
	Callee  telephony.AoR // who is called now, or would be; zero for a trunk, and for nobody known
	Targets []signal.Target
	Ring    time.Duration // to ring unanswered; 0: two minutes
	Refused *Refusal      // nobody is to be tried: the caller gets this
}

// Woken is a phone that was asleep when it was to be rung, and has registered.
type Woken struct {
	AoR    telephony.AoR
	Target signal.Target
}

// Tick says that the time of Call.Deadline has come.
type Tick struct{}

// Hangup ends a leg, or the call when Leg is 0.
type Hangup struct {
	Leg   int
	Cause telephony.Cause
}

// Transfer has the switch itself transfer: the leg's far end is connected with somebody else, and the leg is ended when
// that was answered.
type Transfer struct {
	Leg int
	To  string // URI
}

// Merge asks that the far ends of a leg join another call: in a leg's place (attended transfer), or as well (conference).
type Merge struct {
	Leg int // of the person who has both calls
	Into
}

// Into is a leg of another call.
type Into struct {
	Call  telephony.CallID
	Leg   int
	Place bool          // take the leg's place; else join
	By    telephony.AoR // the leg must be his; zero: the exchange has seen to that
	Named Replaces      // and be this dialog
}

// Adopt hands over a leg that another call has released. It is answered by the command Adoption.
type Adopt struct {
	From    telephony.CallID
	Moved   *Leg
	Into    Into
	Account account.ID
}

// Adopted says what became of a leg that was released. Refused: it goes on as before.
type Adopted struct {
	Leg     int
	Refused *Refusal
}

// Replacing is a new INVITE whose Replaces or Join names a leg of this call (RFC 3891, RFC 3911).
type Replacing struct {
	Leg     int
	Join    bool
	Named   Replaces
	Request *signal.Request
}

// Noticed is what the media of a leg noticed.
type Noticed struct {
	Leg   int
	Event telephony.MediaEvent
}

// Reported is how the media of a leg was; it answers Close.
type Reported struct {
	Leg    int
	Report telephony.MediaReport
}

// Lost says that this node finds the call after a restart: all that can be done is to end it.
type Lost struct{ Cause telephony.Cause }

// Refusal is a final response that is not one of the far end: why something is not done.
type Refusal struct {
	telephony.Cause
	RetryAfter int // seconds; 0: not told
}

func (*Prepared) fact() {}
func (*Routed) fact()   {}
func (Woken) fact()     {}
func (Tick) fact()      {}
func (Hangup) fact()    {}
func (Transfer) fact()  {}
func (Merge) fact()     {}
func (Adopt) fact()     {}
func (Adopted) fact()   {}
func (Replacing) fact() {}
func (Noticed) fact()   {}
func (*Reported) fact() {}
func (Lost) fact()      {}
