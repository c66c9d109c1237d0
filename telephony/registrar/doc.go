// Package registrar keeps the bindings of a node: it finds out who sent a REGISTER, lets the rules decide (package registration), saves
// through Bindings before it answers, and tells of every change by the feed rows saved in the same transaction.
//
// Each AoR belongs to one shard, whose worker takes all that has arrived, decides all of it, saves once, applies it to memory and then
// answers; what arrives meanwhile is its next turn.
//
// What is answered before the rules, or instead of them:
//
//	queue full, directory or store away    503 with Retry-After (never 401)
//	no Authorization, or a wrong answer    401 with a challenge, alike for known and unknown users and domains
//	right answer, nonce old or count used  401 with stale=true; a retransmission gets its 200 again
//	another user's AoR, From differs       403
//
// Lookup returns where the phones of an AoR are reached. The package has no socket and no SQL. No compatibility promise.
package registrar
