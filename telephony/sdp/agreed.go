package sdp

import (
	"net/netip"

	"demarc/internal/account"
)

// Local is our side of one leg's media, as it is written in SDP. The media makes it when it opens the leg; it holds for all
// offers and answers of the leg until the media is opened anew.
type Local struct {
	Addr        netip.Addr // advertised: what the phone sends to
	Audio       Ports
	Video       Ports // zero: m=video is refused with port 0
	Keys        []Key // one for every SDES suite that we know, best first (RFC 4568)
	Fingerprint Fingerprint
	Ufrag       string // ICE-lite (RFC 8445 §2.5)
	Pwd         account.Secret
}

// Ports are the RTP and the RTCP port of a media line; the same when they are multiplexed (RFC 5761).
type Ports struct{ RTP, RTCP uint16 }

// Key is one SDES key (RFC 4568 §9.1).
type Key struct {
	Tag   int
	Suite string         // AEAD_AES_256_GCM, AES_256_CM_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32
	Key   account.Secret // base64 of master key and salt
}

// Fingerprint is the hash of a DTLS certificate (RFC 8122); names of hashes are compared without case.
type Fingerprint struct{ Hash, Value string }

// Security says how a leg's media is protected.
type Security string

// The ways of protection.
const (
	Plain Security = "none" // RTP/AVP
	SDES  Security = "sdes" // RTP/SAVP with a=crypto
	DTLS  Security = "dtls" // UDP/TLS/RTP/SAVPF with a=fingerprint
)

// Direction is who sends, as we see it: our SendOnly is the phone's a=recvonly.
type Direction string

// The directions (RFC 3264 §5.1).
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Codec is one RTP payload format as a description names it.
type Codec struct {
	Payload  uint8
	Name     string // as IANA writes it: PCMA, opus, telephone-event …
	Rate     int    // Hz
	Channels int    // 1 when absent
	Params   string // a=fmtp
}

// Agreed is what offer and answer of a leg have settled: what the media needs to send to the phone, and to accept from it.
type Agreed struct {
	Security    Security
	Audio       Stream
	Video       Stream // Port 0: none
	LocalKey    Key    // SDES: the one the phone decrypts with
	RemoteKey   Key    // SDES: the one the phone encrypts with
	Fingerprint []Fingerprint
	Active      bool // DTLS: we begin the handshake (a=setup:active)
	RemoteUfrag string
	RemotePwd   account.Secret
	Signalled   netip.Addr // where the leg's SIP comes from: plain RTP of a phone that tells a private address is learnt there
}

// Stream is one agreed media line.
type Stream struct {
	Remote     netip.AddrPort // RTP goes there, before a source is learnt; its port 0: none
	RemoteRTCP netip.AddrPort // the same as Remote when multiplexed
	Mux        bool
	Direction  Direction
	Codec      Codec // the one that both sides use, by the number in each direction:
	Send       uint8 // payload type that the phone expects
	Receive    uint8 // payload type that the phone sends
	DTMFSend   uint8 // telephone-event, or 0
	DTMFRecv   uint8
	Ptime      int // ms, 20 when nothing was said
}
