package sdp

import (
	"errors"
	"net/netip"

	"demarc/internal/account"
)

// What is wrong with a description. Both are wrapped with what it is; the first is a 400, the second a 488 (RFC 3261
// §21.4.26) in answer to an offer, and ends the leg when it came as an answer.
var (
	ErrMalformed    = errors.New("the session description cannot be read")
	ErrUnacceptable = errors.New("the session description cannot be agreed to")
)

// Description is a session description as a phone wrote it (or as we did).
type Description struct {
	Origin Origin
	Media  []Media
	Bundle []string // mids of a=group:BUNDLE (RFC 9143)
	Lite   bool     // a=ice-lite
}

// Origin is the o= line, without its address.
type Origin struct {
	User    string
	Session uint64
	Version uint64
}

// Media is one m= line with its attributes; what the session says for all is in each.
type Media struct {
	Kind      string         // audio, video, …
	Profile   string         // RTP/AVP …
	Formats   string         // as written
	Remote    netip.AddrPort // port 0: the line is refused or removed; address not valid: 0.0.0.0, the hold of RFC 2543
	RTCP      netip.AddrPort
	Mux       bool
	Direction Direction
	Codecs    []Codec // in order of preference; without those that nobody could name
	Ptime     int     // ms; 0: not said
	Keys      []Key   // a=crypto of suites that we know, in order
	Transport
}

// Transport is what a media line says of DTLS (RFC 8842), ICE (RFC 8839) and BUNDLE.
type Transport struct {
	Fingerprints []Fingerprint
	Setup        string // active, passive, actpass, holdconn; empty: not said
	Ufrag        string
	Pwd          account.Secret
	Mid          string
}
