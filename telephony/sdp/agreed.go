package sdp

import (
	"net/netip"

	"demarc/internal/account"
)

// Local is our side of one leg's media, as it is written in SDP. The media makes it when it opens the leg; but for the credentials of
// ICE it holds for all offers and answers of the leg until the media is opened anew.
type Local struct {
	Addr        netip.Addr // advertised: what the phone sends to
	Audio       Line
	Video       Line // without a port: m=video is refused with port 0
	Fingerprint Fingerprint
	Seed        account.Secret // of the credentials after a restart of ICE; told nobody
}

// Line is our side of one media line.
type Line struct {
	RTP  uint16
	RTCP uint16 // the next port as a rule; when phone and we multiplex (RFC 5761), it is not used
	Keys []Key  // one for every SDES suite that we know, best first, tags from 1 (RFC 4568); no line shares them with another

	Ufrag string // ICE-lite (RFC 8445 §2.5)
	Pwd   account.Secret
}

// Key is one SDES key (RFC 4568 §9.1).
type Key struct {
	Tag   int
	Suite string         // AEAD_AES_256_GCM, AES_256_CM_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32
	Key   account.Secret // base64 of master key and salt; and where packets name their key "|", its identifier, ":" and that one's bytes
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

// Codec is one RTP payload format as a description names it.
type Codec struct {
	Payload  uint8
	Name     string   // as IANA writes it: PCMA, opus, telephone-event …
	Rate     int      // Hz
	Channels int      // 1 when absent
	Params   string   // a=fmtp
	Feedback []string // a=rtcp-fb (RFC 4585), of video
}

// Agreed is what offer and answer of a leg have settled: what the media needs to send to the phone, and to accept from it.
type Agreed struct {
	Security  Security
	Audio     Stream
	Video     Stream     // without a codec: none
	Signalled netip.Addr // where the leg's SIP comes from: plain RTP of a phone that tells a private address is learnt there
}

// Stands reports whether anything was agreed.
func (a *Agreed) Stands() bool { return a.Security != "" }

// Stream is one agreed media line.
type Stream struct {
	Remote     netip.AddrPort // RTP goes there, before a source is learnt; not valid: the phone wants none (old hold); 0.0.0.0: it told a name
	RemoteRTCP netip.AddrPort // the same as Remote when multiplexed
	Mux        bool
	Direction  Direction // as we see it
	Codec      Codec     // the one that both sides use, by the number in each direction:
	Send       uint8     // payload type that the phone expects
	Receive    uint8     // payload type that the phone sends
	DTMFSend   uint8     // telephone-event, or 0
	DTMFRecv   uint8
	Ptime      int // ms, 20 when nothing was said
	Protection
}

// Protection is what secures one stream: keys of SDES, or what DTLS and ICE need.
type Protection struct {
	LocalKey     Key           // SDES: the one the phone decrypts with
	RemoteKey    Key           // SDES: the one the phone encrypts with
	Fingerprints []Fingerprint // DTLS: the phone's certificate has one of them
	Active       bool          // DTLS: we begin the handshake (a=setup:active)
	LocalUfrag   string        // ICE: what the phone's checks name us; empty without
	LocalPwd     account.Secret
	RemoteUfrag  string // empty without ICE
	RemotePwd    account.Secret
}
