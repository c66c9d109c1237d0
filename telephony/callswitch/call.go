package callswitch

import (
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Call is one call. It is changed by Step alone.
type Call struct {
	Account  account.ID
	ID       telephony.CallID
	Node     string
	Epoch    int64
	State    states.Call
	Asked    Asked
	Times    Times
	Cause    telephony.Cause // of the end; zero before
	Attempt  *Attempt        // nil when nobody is being tried
	Legs     []*Leg
	LastLeg  int             // the highest number given
	Interval int             // Session-Expires that is asked for, in seconds; 0: 1800. It is the process's, not part of the state
	Recorded bool            // the end was written
	arrival  *signal.Request // within one turn: the INVITE whose leg is being prepared
	serials
	memory
}

// Asked is who called whom, as history tells it.
type Asked struct {
	Caller  telephony.AoR
	Name    string // the caller's display name, without quotes
	Dialled string // Request-URI
	Depth   int    // calls before this one, by the header that counts them
	Hops    int    // Max-Forwards for what goes on from here
	Headers []telephony.Header
}

// Times are those of history.
type Times struct{ Started, Answered, Ended time.Time }

// Attempt is the search for somebody who answers.
type Attempt struct {
	For     int             // the leg that is to be connected
	By      telephony.AoR   // on whose rights
	Report  int             // the leg that is told by NOTIFY (RFC 3515), or 0
	Callee  telephony.AoR   // who is being tried
	Waiting []signal.Target // of lower q, later
	Asleep  []signal.Target // may still register
	Until   time.Time       // unanswered
	Best    Refusal         // the best final response so far (RFC 3261 §16.7)
	Depth   int             // how often it went on to somebody else
	Asking  bool            // Route was asked for
}

// Leg is one dialog of a call with its media.
type Leg struct {
	ID      int
	Ours    bool // we sent its INVITE
	State   states.Dialog
	Who     Person
	Dialog  Dialog
	Way     signal.Way
	Ways    []signal.Way // all of them, until the first response
	made    made
	Forks   []Fork // until it has answered
	Invite  Invite
	Session Session
	Timer   SessionTimer
	Since   Since
	Cause   telephony.Cause // of the end; zero before
	Media   telephony.MediaReport
	Part    Part
}

// Person is whose phone a leg goes to.
type Person struct {
	AoR   telephony.AoR // zero for a trunk
	Name  string        // of the phone, or the trunk
	Allow Allow         // what the phone says that it understands
}

// Allow is what matters of Allow and Supported.
type Allow struct{ Update, Info, Timer, Reliable bool }

// Since are the times of a leg.
type Since struct{ Started, Answered, Ended time.Time }

// Dialog is what RFC 3261 §12 keeps of a dialog.
type Dialog struct {
	CallID              string
	LocalTag, RemoteTag string
	Local, Remote       string // From and To of what we send, without tags
	LocalSeq, RemoteSeq uint32
	Routes              []string
	Target              string // the URI of the far end
	Contact             string // ours
}

// Invite is an INVITE that has no final response, in either direction, and what is left of the last one.
type Invite struct {
	Theirs   signal.TxID // a server transaction that owes its final response
	Last     signal.TxID // the server transaction whose 2xx waits for its ACK
	Ours     signal.TxID // a client transaction without a final response
	Seq      uint32      // CSeq of Ours
	Expires  time.Time   // when the first one of theirs is over unless it was answered (§13.3.1); zero: it does not say
	Away     time.Time   // since when the phone has had no way that a re-INVITE of ours could take; zero: it has one
	Retry    time.Time   // when a re-INVITE that met another one is sent again (§14.1)
	Reliable bool        // provisional responses are to be reliable (RFC 3262)
	Insists  bool        // the phone wants 100rel (421): we require it
	PutOff   int         // how often in a row the far end has put off a re-INVITE of ours
	Changed  bool        // its media is protected otherwise than it was offered first
	Offered  bool        // the server transaction of Theirs brought an offer
}

// Session is the media of a leg, and its offers and answers.
type Session struct {
	Media   telephony.MediaID
	State   states.Offer
	Terms   sdp.Terms
	Side    sdp.Side
	Offer   *sdp.Description // of the phone, not answered yet
	Offered *sdp.Description // ours, not answered yet, or nil: it can be read in Side.Last, as after Decode
	Wrote   [2][]byte        // Side.Theirs and Offer, as they came
	Holds   bool             // the phone has put us on hold
	Borrows bool             // it was asked for another codec than its own, for music or mixing
	Deaf    bool             // it refused that: it hears silence
	Early   bool             // it was agreed in an early dialog
	Hears   Hears            // what the media was told last
	Aim     Aim              // what the last offer or answer of ours allowed
	Was     Aim              // Aim before the offer that is under way
	Refused string           // the codec that it refused to change to: not asked again

	Security sdp.Security // of what we offer
}

// Aim is what we want of a leg's media.
type Aim struct {
	Direction sdp.Direction
	Codec     string // the only codec, as name/rate/channels; empty: as it is
	Music     bool   // a codec that announcements are written in
}

// Hears is what a leg is given to hear.
type Hears struct {
	Kind HearsKind
	With uint64 // the other leg's media, or a bit for each leg of a mix
}

// HearsKind is a kind of what a leg hears.
type HearsKind uint8

// What a leg hears.
const (
	HearsNothing HearsKind = iota
	HearsOther
	HearsMusic
	HearsMix
)

// SessionTimer is RFC 4028.
type SessionTimer struct {
	Every  int  // Session-Expires, seconds; 0: none
	MinSE  int  // what the phone asked for with 422
	We     bool // we refresh
	Due    time.Time
	Ends   time.Time // when the session is over unless it is refreshed; zero: it is not known
	Update bool      // a refresh by UPDATE is under way
}

// Part is a leg's part in its call.
type Part struct {
	Aside   bool      // it transfers, and does not talk meanwhile
	LeaveBy time.Time // when we end it, unless it does
	Refer   Refer
	Into    Into // where it is to go, when everything under way is done
	Moving  bool // it was released; messages wait
	Asker   int  // the leg that asked for it to go
}

// Refer is the subscription that a REFER makes (RFC 3515).
type Refer struct {
	Seq  uint32 // of the REFER: the id of its event
	Open bool
}

// New returns the call that an INVITE begins. serial is unique within the life of the process: the call's transactions
// are named by it.
func New(acc account.ID, id telephony.CallID, node string, serial uint64) *Call {
	return &Call{Account: acc, ID: id, Node: node, serials: serials{serial: serial}}
}

// skipped is how far the CSeq of a dialog jumps when another process goes on with it: the last requests of the other may
// not have been written.
const skipped = 100

// Bind gives a call that was decoded a serial of this process, and drops what belonged to the other one: transactions and
// media. Dialogs that stood between two of its messages go on as if the phone had got the last one. From another node's hands it goes
// into the next epoch.
func (c *Call) Bind(node string, serial uint64) {
	if c.Node != node {
		c.Epoch++
	}
	c.Node, c.serials = node, serials{serial: serial}
	for _, l := range c.Legs {
		l.Invite.Theirs, l.Invite.Last, l.Invite.Ours = 0, 0, 0
		l.Session.Media, l.Session.Hears = 0, Hears{}
		l.Timer.Update, l.Part.Moving = false, false
		l.Dialog.LocalSeq += skipped
		switch l.State {
		case states.Answered, states.Leaving:
			l.State = states.Confirmed
		case states.Cancelling, states.Ending:
			l.State = states.Terminated
		}
		if l.Session.State == states.ReofferSent || l.Session.State == states.ReofferReceived {
			if l.Session.State == states.ReofferSent {
				l.Session.Aim = l.Session.Was
			}
			l.Session.State, _ = states.NextOffer(l.Session.State, states.OfferRefused)
			l.Session.Offer, l.Session.Wrote[1] = nil, nil
		}
	}
}

// Leg returns the leg with that number, or nil.
func (c *Call) Leg(id int) *Leg {
	for _, l := range c.Legs {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// add returns a new leg, of which nothing is known but when it began.
func (c *Call) add(at time.Time) *Leg {
	l := c.spare.leg()
	c.LastLeg++
	l.ID, l.Since.Started = c.LastLeg, at
	c.Legs = append(c.Legs, l)
	return l
}

// open reports whether the leg has not ended for people.
func (l *Leg) open() bool { return l.Since.Ended.IsZero() }

// talks reports whether the leg is answered and takes part.
func (l *Leg) talks() bool {
	return l.open() && !l.Part.Aside && (l.State == states.Confirmed || l.State == states.Answered)
}

// idle reports whether nothing is under way on the leg. An INVITE of the phone's is until its ACK has come (RFC 3261 §14.1).
func (l *Leg) idle() bool {
	return l.State == states.Confirmed && l.Session.State == states.Stable && l.Invite.Theirs == 0 && l.Invite.Last == 0 && l.Invite.Ours == 0 && !l.Timer.Update
}

// Deadline returns when the call wants a Tick; zero for never.
func (c *Call) Deadline() time.Time {
	var first time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if c.Attempt != nil {
		sooner(c.Attempt.Until)
	}
	for _, l := range c.Legs {
		if l.open() && !l.Part.Moving {
			sooner(l.Invite.Expires)
			sooner(l.Invite.Retry)
			sooner(l.Timer.Due)
			sooner(l.Part.LeaveBy)
		}
	}
	return first
}
