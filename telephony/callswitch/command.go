package callswitch

import (
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Command is what is to be done for a call. Those that every call has are pointers into a Spare.
type Command interface{ command() }

// Prepare asks for what a leg needs; Prepared answers it in the same turn.
type Prepare struct {
	Leg   int
	Ours  bool // we begin the dialog
	Media bool // ports and keys for audio too
	Video bool // and for video
	Way   signal.Way
}

// Route asks where the call goes; Routed answers it in the same turn.
type Route struct{ Question }

// Question is what somebody who decides about a call's way needs to know.
type Question struct {
	Account account.ID
	Call    telephony.CallID
	By      telephony.AoR // on whose rights: the caller, who transfers, or who forwards
	Caller  telephony.AoR
	Dialled string        // URI
	Last    telephony.AoR // who was tried before; zero at first
	Why     Why
	Cause   telephony.Cause // of the failure, when somebody was tried
	Depth   int             // how often the call went on from one to another
}

// Why says why it is asked where a call goes.
type Why uint8

// Why it is asked.
const (
	Dialled   Why = iota // somebody called
	Failed               // nobody of Last answered: Cause
	Forwarded            // a phone of Last sent it on (302)
	Referred             // By transfers (REFER, or the switch)
)

// Wake asks to wake a phone that is asleep. When it registers in time, Woken tells.
type Wake struct {
	AoR    telephony.AoR
	Target signal.Target
}

// Send, Reply and Cancel are what goes to the edge.
type (
	Send struct {
		Leg int
		signal.Outgoing
	}
	Reply struct {
		Leg int
		signal.Reply
	}
	Cancel struct {
		Leg    int
		Tx     signal.TxID
		Reason string
	}
)

// Agree tells the media what was agreed.
type Agree struct {
	Leg    int
	Media  telephony.MediaID
	Agreed *sdp.Agreed // the leg's own
}

// Learn says how a phone protects media by itself: so it was in the offer that began its call.
type Learn struct {
	Way      signal.Way
	Security sdp.Security
}

// Relay has two legs hear each other.
type Relay struct{ A, B telephony.MediaID }

// Play lets a leg hear music.
type Play struct{ Media telephony.MediaID }

// Mix has all of several legs hear all others.
type Mix struct{ Media []telephony.MediaID }

// Hush lets a leg hear nothing, and nobody hear it.
type Hush struct{ Media telephony.MediaID }

// Close gives the media of a leg back; Reported answers it in the same turn.
type Close struct {
	Leg   int
	Media telephony.MediaID
}

// Record says that the call's history is to be written: once with End, after which no other Record comes.
type Record struct{ End bool }

// Note is for the timeline of a user.
type Note struct {
	AoR   telephony.AoR
	Cause telephony.Cause
	Text  string
}

// Seek asks for the call that has a dialog (Replaces, of a REFER), to be given a leg of this one. It is answered by
// Merge with what was found, or by Adopted with a refusal.
type Seek struct {
	Leg      int // who asked for it
	By       telephony.AoR
	Replaces Replaces
}

// Release hands a leg over to another call; Adopted answers it.
type Release struct {
	Leg  int
	Into Into
}

// Adoption answers Adopt.
type Adoption struct {
	From    telephony.CallID
	Was     int // the leg's number there
	Leg     int // its number here
	Refused *Refusal
}

func (*Prepare) command() {}
func (*Route) command()   {}
func (Wake) command()     {}
func (*Send) command()    {}
func (*Reply) command()   {}
func (Cancel) command()   {}
func (*Agree) command()   {}
func (*Learn) command()   {}
func (Relay) command()    {}
func (Play) command()     {}
func (Mix) command()      {}
func (Hush) command()     {}
func (*Close) command()   {}
func (Record) command()   {}
func (Note) command()     {}
func (Seek) command()     {}
func (Release) command()  {}
func (Adoption) command() {}
