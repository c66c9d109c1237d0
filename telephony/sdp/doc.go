// Package sdp reads and writes session descriptions (RFC 8866), and negotiates them by the offer/answer model (RFC 3264) for
// one leg at a time: what we offer or answer is always our own address, our own keys and, in an answer, one codec with
// telephone-event.
//
// It owns no socket, no port and no state: Local comes from the media, Agreed goes there. No compatibility promise.
package sdp
