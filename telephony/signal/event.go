package signal

import (
	"demarc/internal/account"
	"demarc/telephony"
)

// Event is something that the edge tells: a *Request, *Response, *Cancel, *Ack, *AckMissing or *Pracked. The events of one
// Call-ID on one flow come in the order of the wire.
type Event interface{ event() }

// Request is a request that came in. Each gets exactly one final Reply, unless its transaction ends without (AckMissing
// cannot come before). An INVITE gets its 100 from the edge.
type Request struct {
	Tx     TxID
	Method string
	URI    string // the Request-URI
	Hops   int    // Max-Forwards; 70 when there was none
	Way    Way    // back to who sent it
	// Who proved to be behind it: by digest, or earlier on the same flow where the listener allows that. Within a dialog both
	// may be empty; the flow must then be the dialog's own.
	Account account.ID
	User    telephony.AoR
	Secure  bool // nobody can listen on the way: keys may be told
	Browser bool // it came over a WebSocket
	Message
}

// Response is a response to an Outgoing request. One with Local was made here: nobody answered, the way is gone, or what
// came cannot be read; Reason then says so for people. A 2xx to INVITE has made a dialog all the same: where that can be named it is
// told with its Fault.
type Response struct {
	Tx     TxID
	Method string
	Status int
	Reason string
	Local  bool
	Fault  string // what of a 2xx to INVITE cannot be read, for people: its dialog is to be ended; or empty
	RSeq   uint32 // of a reliable provisional response (RFC 3262), or 0
	Way    Way    // the way it came
	Message
}

// Cancel is the wish to end an INVITE that has no final response yet (RFC 3261 §9.2). The exchange still answers the
// INVITE.
type Cancel struct {
	Tx     TxID
	Reason string // value of the Reason header (RFC 3326), or empty
}

// Ack is the ACK to a 2xx that we sent. Its Message is empty when it has no body.
type Ack struct {
	Tx TxID // the INVITE's
	Message
}

// AckMissing says that a 2xx to INVITE was sent for 64*T1 and got no ACK: the dialog is to be ended (RFC 3261 §13.3.1.4).
type AckMissing struct{ Tx TxID }

// Pracked says that a reliable provisional response arrived (RFC 3262); or, when Missing, that it was sent for 64*T1
// without: the INVITE is to be refused. A PRACK with a body comes as a Request after that.
type Pracked struct {
	Tx      TxID // the INVITE's
	RSeq    uint32
	Missing bool
}

func (*Request) event()    {}
func (*Response) event()   {}
func (*Cancel) event()     {}
func (*Ack) event()        {}
func (*AckMissing) event() {}
func (*Pracked) event()    {}
