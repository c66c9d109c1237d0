// Package trace remembers the last SIP messages of every AoR, within a bounded memory, for support staff who ask why a
// phone does not work. What is secret is taken out before anything is remembered: answers to digest challenges, passwords
// in URIs, keys of SRTP, and push tokens.
//
// A message belongs to the AoR of the phone that sent or got it. Memory is given to AoRs by how recently they were
// heard of. What went over a flow on which nobody has authenticated stands apart, in a small part of it, whatever AoR it
// names, so that no flood of strangers pushes out what a phone said. A Call-ID is found by looking through what there is.
//
// It writes nothing to disk, draws ladders and packets for those who asked, and knows nothing of accounts. No
// compatibility promise.
package trace
