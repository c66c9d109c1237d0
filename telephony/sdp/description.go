package sdp

import (
	"errors"
	"net/netip"
	"strings"

	"demarc/internal/account"
)

// What is wrong with a description. Both are wrapped with what it is; the first is a 400, the second a 488 (RFC 3261
// §21.4.26) in answer to an offer, and either ends the leg when it came as an answer.
var (
	ErrMalformed    = errors.New("the session description cannot be read")
	ErrUnacceptable = errors.New("the session description cannot be agreed to")
)

// Description is a session description as a phone wrote it, or as we did. It is not fit to be stored: keep the bytes, and
// Parse them again.
type Description struct {
	Origin Origin
	Media  []Media
	Bundle []string // mids of a=group:BUNDLE (RFC 9143)
	Lite   bool     // a=ice-lite
}

// Origin is the o= line, without name and address.
type Origin struct {
	Session uint64 // 0 when it is longer than 64 bits
	Version uint64
}

// Media is one m= line with its attributes; what the session says for all is in each.
type Media struct {
	Kind      string         // audio, video, …
	Profile   string         // RTP/AVP …
	Format    string         // the first one, as written
	Remote    netip.AddrPort // port 0: refused or removed; address not valid: 0.0.0.0, the hold of RFC 2543; 0.0.0.0: a name was told
	RTCP      netip.AddrPort
	Mux       bool
	Direction Direction // as who wrote it sees it; an old hold sends only
	Codecs    []Codec   // in order of preference, telephone-event too; without those that nothing names
	Ptime     int       // ms; 0: not said
	Keys      []Key     // a=crypto that we can take, in order
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

// Audio returns the first audio line that is not refused, or nil.
func (d *Description) Audio() *Media { return d.first("audio") }

// Video returns the first video line that is not refused, or nil.
func (d *Description) Video() *Media { return d.first("video") }

// Holds reports whether the audio puts us on hold: by direction (RFC 3264 §8.4), or by an address of zero as in RFC 2543.
func (d *Description) Holds() bool {
	audio := d.Audio()
	return audio != nil && !audio.Direction.Receives()
}

func (d *Description) first(kind string) *Media {
	if d == nil {
		return nil
	}
	for i := range d.Media {
		if m := &d.Media[i]; m.Kind == kind && m.Remote.Port() != 0 {
			return m
		}
	}
	return nil
}

// rtp reports whether the profile is one of RTP: RTP/AVP, UDP/TLS/RTP/SAVPF, …
func (m *Media) rtp() bool { return strings.Contains(m.Profile, "RTP/") }
