// Package registrar applies the rules of RFC 3261 §10 and RFC 5626: who may register, which bindings stand, when they
// end. It authenticates from its own directory, saves through Bindings before it answers, and tells of every change by
// the feed rows saved in the same transaction.
//
// Decide holds the rules and is pure. A Registrar runs them: each AoR belongs to one shard, whose worker takes all that
// has arrived, decides all of it, saves once, applies it to memory and then answers; what arrives meanwhile is its next
// turn.
//
// The answers to REGISTER, in the order of RFC 3261 §10.3:
//
//	queue full, directory or store away    503 with Retry-After (never 401)
//	no Authorization, or a wrong answer    401 with a challenge, alike for known and unknown users and domains
//	right answer, nonce old or count used  401 with stale=true; a retransmission gets its 200 again
//	malformed                              400
//	another user's AoR, From differs       403
//	Expires below the minimum              423 with Min-Expires
//	CSeq not above the binding's           500 (§10.3 step 7: the request fails as a whole)
//	more contacts than allowed, none dead  403
//	Path insisted on by a stranger         420 (RFC 3327; else a stranger's Path is passed over)
//	a proxy before us lacks outbound,
//	or is not one of ours                  439 (RFC 5626 §6)
//	a push provider not served here        555 (RFC 8599; not when none is configured)
//	otherwise                              200 with every binding
//
// Phones are reached by their flow; a Contact's host is never resolved. Lookup groups the flows by phone. The package has no socket and no SQL. No compatibility promise.
package registrar
