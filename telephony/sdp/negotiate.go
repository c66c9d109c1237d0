package sdp

// Policy is whether a leg's media must be protected.
type Policy string

// The policies. Preferred offers SAVP, and AVP once when that got 488; Off offers AVP, and refuses nothing.
const (
	Required  Policy = "required"
	Preferred Policy = "preferred"
	Off       Policy = "off"
)

// Terms are the terms on which a leg's media is agreed.
type Terms struct {
	Policy  Policy   // empty: Preferred
	Secure  bool     // nobody can listen to the leg's signalling: keys may be told (RFC 4568 §7)
	Browser bool     // a WebSocket: UDP/TLS/RTP/SAVPF with ICE
	Setting Security // the device's own setting, or how its last offer was; empty: none known
}

// Side is what we know of a leg's media when a description is to be written: all of it is part of the leg's state.
type Side struct {
	Local   Local
	Session uint64       // of o=: chosen at random when the leg begins
	Last    []byte       // what we wrote last on this leg; nil at first
	Theirs  *Description // what the phone wrote last; nil at first
	Agreed  *Agreed      // what was agreed last; nil at first
}

// Offering is what we want of a leg.
type Offering struct {
	Security  Security
	Direction Direction // as we see it
	Codecs    []Codec   // audio without telephone-event, best first; payload types are ours to choose
	Video     []Codec   // none: no video is offered
	Ptime     int       // ms; 0: not said
}

// Wanted is what an answer may hold.
type Wanted struct {
	Direction Direction // as we see it; the answer narrows it to what the offer allows
	Codecs    []Codec   // audio: the first of the offer that is here is taken; nil: any that we pass through
	Video     []Codec   // the same for video; nil: video is refused
	Ptime     int
}

// Security says how to protect what is offered first.
func (t Terms) Security() (Security, error) { return "", nil }

// Weaker says how to offer again after 488 to an offer with such protection, once.
func (t Terms) Weaker(refused Security) (Security, bool) { return "", false }

// Accepts reports whether an offer can be agreed to on these terms, and with what protection; ErrUnacceptable says why not.
func (t Terms) Accepts(offer *Description) (Security, error) { return "", nil }

// Offer writes an offer.
func (s *Side) Offer(o Offering) ([]byte, error) { return nil, nil }

// Answer writes the answer to an offer, and says what is agreed by it. ErrUnacceptable: nothing can be agreed.
func (s *Side) Answer(t Terms, offer *Description, w Wanted) ([]byte, Agreed, error) {
	return nil, Agreed{}, nil
}

// Settle says what an answer of the phone to our offer agrees. ErrUnacceptable: nothing.
func Settle(ours, theirs *Description) (Agreed, error) { return Agreed{}, nil }

// Change says what a new offer of the phone changes.
type Change struct {
	Direction bool // hold, resume, …: tell the other side
	Codec     bool // the agreed codec is offered no longer: tell the other side
	Address   bool
	Security  bool // keys, fingerprint or profile
	Restart   bool // ICE
	Lines     bool // video came or went
}

// Compare says what the phone's new offer changes: before is its last description, agreed what was settled with it.
func Compare(agreed Agreed, before, now *Description) Change { return Change{} }

// Common returns the codecs of an offer that we pass through, in its order: what to offer to the other side.
func Common(offered []Codec) []Codec { return nil }

// Passed are all codecs that we pass through, best first: what is offered when nobody has offered anything yet.
func Passed() []Codec { return nil }

// Music are the codecs of announcements, music and mixing.
func Music() []Codec { return nil }
