package signal

import "demarc/telephony"

// Outgoing is a request to be sent. Its answers come as Responses: provisional ones, and exactly one final one, Local if
// need be; further 2xx to an INVITE come too (RFC 3261 §13.2.2.4).
type Outgoing struct {
	Tx          TxID // chosen by who sends; of an ACK: the INVITE's transaction whose 2xx it answers
	Method      string
	URI         string
	Headers     []telephony.Header // From, To, Call-ID, CSeq, Contact, Route and all else; not Via, Max-Forwards, Content-Type, Content-Length
	ContentType string
	Body        []byte
	Hops        int   // Max-Forwards; 70 when 0
	Ways        []Way // the next is taken when one fails before any response came; one at least
}

// Reply is a response to a Request. The edge adds Via, From, To with ToTag, Call-ID, CSeq and Content-Length.
type Reply struct {
	Tx          TxID
	Status      int
	Reason      string // the standard one when empty
	ToTag       string // the same for all replies of one dialog
	Headers     []telephony.Header
	ContentType string
	Body        []byte
	Reliable    bool // a provisional response that is sent until its PRACK (RFC 3262)
	Challenge   bool // status 407 with a challenge for who sent the request
}
