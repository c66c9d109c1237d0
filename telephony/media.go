package telephony

import (
	"net/netip"
	"time"
)

// MediaID names one leg's side of its media at one node, from when its ports are taken to when they are given back. It
// is never used again within the life of a process.
type MediaID uint64

// MediaEvent is what the media of a leg noticed.
type MediaEvent struct {
	ID    MediaID
	Kind  MediaEventKind
	Digit byte          // 0–9, *, #, A–D for DigitHeard
	Text  string        // for people
	After time.Duration // of silence, for MediaStopped
}

// MediaEventKind says what was noticed.
type MediaEventKind uint8

// The kinds of media events.
const (
	MediaFlows     MediaEventKind = iota + 1 // the first packet was accepted
	MediaStopped                             // nothing was accepted for the time-out, RTCP included, while it should flow
	MediaOneWay                              // nothing is accepted from this leg while the other one is heard: Text says which
	DigitHeard                               // a telephone-event ended (RFC 4733)
	SecurityFailed                           // the DTLS handshake or the keys failed: Text says why
	MediaExcess                              // more comes from this leg than any phone needs to send, and is thrown away: told once
	PlayEnded                                // an announcement came to its end
)

// MediaReport is how a leg's media was, to be written in history.
type MediaReport struct {
	Sent, Received uint64        // packets to and from the phone
	Lost           uint64        // of those the phone sent, by their sequence numbers
	LostThere      uint64        // of those we sent, as the phone reports (RFC 3550 §6.4.1)
	Jitter         time.Duration // of what the phone sent
	JitterThere    time.Duration // of what we sent, as the phone reports
	RoundTrip      time.Duration // 0 when no report allowed to compute it
	Refused        uint64        // packets that were not authentic, or not from where they should be
	Security       string        // "none", "sdes" or "dtls"
	Suite          string        // the SRTP suite, empty for none
	Codec          string        // as agreed, e.g. "opus/48000/2"
}

// MediaOpening asks for a leg's side of its media.
type MediaOpening struct {
	ID       MediaID
	Listener string     // the SIP listener of the leg: its advertised media address is told
	Peer     netip.Addr // where the leg's SIP comes from: networks that are configured decide on the address too
	Video    bool       // ports for video too
	Open     bool       // strangers can listen to the leg's SIP: no SDES keys are made, for none may be told (RFC 4568 §7)
}
