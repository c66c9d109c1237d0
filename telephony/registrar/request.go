package registrar

import (
	"time"

	"demarc/telephony"
)

// Flow says where a request came from.
type Flow = telephony.Flow

// Request is a REGISTER as the registrar sees it. Both readers, the scan of the wire and the full parser, fill the same
// Request; strings do not alias the receive buffer.
type Request struct {
	Flow      Flow
	Domain    string // host of the Request-URI, lower case
	To        telephony.AoR
	From      telephony.AoR
	CallID    string
	CSeq      uint32
	Contacts  []Contact
	Star      bool     // Contact: *
	Expires   int      // the Expires header in seconds; -1 when absent
	Path      []string // Path values, topmost first (RFC 3327)
	PathKnown bool     // Supported: path
	PathAsked bool     // Require: path
	Proxied   bool     // it came over a proxy: more than one Via
	Outbound  bool     // Supported: outbound (RFC 5626)
	Authorize []string // the values of the Authorization headers, "Digest …"
	UserAgent string
}

// Contact is one value of a REGISTER's Contact header.
type Contact struct {
	URI      string // exactly as between < and >: a call to the phone must carry it unchanged
	Instance string // +sip.instance without quotes and brackets, or empty
	RegID    int    // reg-id, or 0
	Q        int    // q value in thousandths, 1000 when absent
	Expires  int    // the expires parameter in seconds; -1 when absent

	key string // contactKey of it, once that is known
}

// Reply is the registrar's answer, to be written by the edge around the request's Via, From, To, Call-ID and CSeq.
type Reply struct {
	Status     int
	Reason     string         // reason phrase; the standard one when empty
	Challenges []string       // WWW-Authenticate values, in order
	Bindings   []ReplyBinding // the Contact values of a 200
	MinExpires int            // Min-Expires in seconds, for 423
	RetryAfter int            // Retry-After in seconds, for 503
	Outbound   bool           // Require: outbound (RFC 5626 §6)
	FlowTimer  int            // Flow-Timer in seconds (RFC 5626 §10.2), 0 for none
	Path       []string       // Path values of a 200 (RFC 3327 §5.3)
	Push       []string       // push providers that are served, for Feature-Caps (RFC 8599 §4.1.1)
	Unknown    string         // Unsupported, for 420
	Date       time.Time      // Date header of a 200
	Drop       bool           // send nothing at all
	Sender     Sender         // who asked, as far as that was found out
}

// Sender is what a request proved about who sent it. The edge keeps its limits by it.
type Sender uint8

// The senders.
const (
	Unproven Sender = iota // it proved nothing, or nobody looked
	Proven                 // the digest was right
	Wrong                  // the digest was wrong, or right for somebody else
)

// ReplyBinding is one Contact of a 200 to REGISTER.
type ReplyBinding struct {
	URI      string
	Instance string
	RegID    int
	Q        int
	Expires  int // remaining seconds
}
