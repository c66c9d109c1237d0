// Package authentication finds out who sent a request (RFC 3261 §22, RFC 8760): it challenges, and verifies digests against what the
// directory says of users, which it holds in little memory until the directory changes. Names and domains that are not known are answered
// like known ones, in the same time.
//
// An Identity is what is found out about the sender of a REGISTER, a Verdict the same for any other request. Whoever calls counts the
// outcomes, tells the user's timeline, and answers: nothing is logged or saved here. No compatibility promise.
package authentication
