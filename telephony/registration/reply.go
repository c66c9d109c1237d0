package registration

import (
	"cmp"
	"slices"
	"time"

	"demarc/telephony/digest"
)

// Reply is the registrar's answer, to be written by the edge around the request's Via, From, To, Call-ID and CSeq.
type Reply struct {
	Status     int
	Reason     string         // reason phrase; the standard one when empty
	Challenges []string       // WWW-Authenticate values, in order
	Bindings   []ReplyBinding // the Contact values of a 200
	MinExpires int            // Min-Expires in seconds, for 423
	RetryAfter int            // Retry-After in seconds, for 503
	Outbound   bool           // Require: outbound (RFC 5626 §6)
	FlowTimer  int            // Flow-Timer in seconds (RFC 5626 §5.4), 0 for none
	Path       []string       // Path values of a 200 (RFC 3327 §5.3)
	Push       []string       // push providers that are served, for Feature-Caps (RFC 8599 §5.4)
	Unknown    string         // Unsupported, for 420
	Date       time.Time      // Date header of a 200
	Drop       bool           // send nothing at all
	Sender     Sender         // who asked, as far as that was found out

	room []byte // of the challenges
}

// Emptied returns an empty reply that uses the memory of the lists again.
func (r *Reply) Emptied() Reply {
	return Reply{Challenges: r.Challenges[:0], Bindings: r.Bindings[:0], room: r.room[:0]}
}

// Own returns the reply with texts of its own.
func (r Reply) Own() Reply {
	r.Challenges, r.Bindings, r.room = cloned(r.Challenges), slices.Clone(r.Bindings), nil
	return r
}

// Challenge makes it a 401 that asks for an answer by one of the algorithms.
func (r *Reply) Challenge(realm string, offered []digest.Algorithm, nonce digest.Nonce, stale bool) {
	*r = r.Emptied()
	r.Status = 401
	for _, a := range offered {
		start := len(r.room)
		r.room = digest.AppendChallenge(r.room, realm, a, nonce, stale)
		r.Challenges = append(r.Challenges, borrowed(r.room[start:]))
	}
}

// retryAfter is the least Retry-After, in seconds.
const retryAfter = 5

// Unavailable is the answer to what cannot be decided now.
func Unavailable() Reply { return Reply{Status: 503, RetryAfter: retryAfter} }

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

// show lists the bindings in a 200, those first that the user prefers.
func (r *Reply) show(bindings []Binding, now time.Time) {
	for i := range bindings {
		b := &bindings[i]
		r.Bindings = append(r.Bindings, ReplyBinding{
			URI: b.Contact, Instance: b.Instance, RegID: b.RegID, Q: b.Q, Expires: b.Remaining(now),
		})
	}
	if len(bindings) > 1 {
		slices.SortStableFunc(r.Bindings, func(a, b ReplyBinding) int { return cmp.Compare(b.Q, a.Q) })
	}
}

// outbound adds what the outbound rules say about the request.
func (r *Reply) outbound(rules *Rules, req *Request) {
	for i := range req.Contacts {
		// RFC 5626 §6: the option is required of the phone when the binding was made by the outbound rules.
		r.Outbound = r.Outbound || req.Contacts[i].flow(req) > 0
	}
	if r.Outbound && !req.Proxied { // with a proxy between, the flow is the proxy's to time
		r.FlowTimer = rules.flowTimer(req.Flow)
	}
}

func (t *turn) success() Reply {
	r := Reply{Status: 200, Date: t.now, Push: t.pushServed()}
	if t.path != "" && t.req.PathKnown {
		r.Path = t.req.Path
	}
	r.Bindings = make([]ReplyBinding, 0, len(t.bindings))
	r.show(t.bindings, t.now)
	r.outbound(&t.rules, t.req)
	return r
}
