package rtp

import (
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"

	"github.com/pion/stun/v4"

	"demarc/internal/account"
)

// Check is what an ICE connectivity check says.
type Check struct {
	Nominates bool // the pair that it came over is the one to use
	Former    bool // it names the credentials from before a restart
	Refused   bool // it asks for what is not understood, or both sides think that the other one leads; the answer says so
}

// Lite answers ICE connectivity checks by our own credentials (RFC 8445 §2.5).
type Lite struct {
	Now    Credentials
	Former Credentials // those before a restart, while they are good; else empty
}

// Credentials are name and password of an ICE agent.
type Credentials struct {
	Ufrag string
	Pwd   account.Secret
}

// NewCredentials makes credentials, of 24 and 128 random bits at least (RFC 8445 §5.3), and a secret that later ones may be made of.
func NewCredentials() (c Credentials, seed account.Secret) {
	var b [48]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	var room [64]byte
	text := string(base64.RawStdEncoding.AppendEncode(room[:0], b[:])) // its letters are ice-chars
	return Credentials{text[:8], account.Secret(text[8:32])}, account.Secret(text[32:])
}

// Answer reads a check that came from an address and appends the answer to dst. Whoever does not know the password is met with
// silence: an error would only tell a stranger that somebody listens here. It is what the lite side of ICE needs: that one is asked,
// and answers (RFC 8489, RFC 8445 §16.1).
func (l *Lite) Answer(dst, b []byte, from netip.AddrPort) ([]byte, Check, bool) {
	request := stun.Message{Raw: slices.Clip(b)} // the library computes behind the end
	if request.Decode() != nil || request.Type != stun.BindingRequest || len(b) != stunHeader+int(request.Length) {
		return nil, Check{}, false
	}
	by, ok := l.named(&request)
	if !ok {
		return nil, Check{}, false
	}
	integrity := stun.NewShortTermIntegrity(by.Pwd.Reveal())
	if integrity.Check(&request) != nil {
		return nil, Check{}, false
	}
	check := Check{Nominates: request.Contains(stun.AttrUseCandidate), Former: by != &l.Now}
	parts := []stun.Setter{stun.NewTransactionIDSetter(request.TransactionID), stun.BindingSuccess,
		stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}}
	if why := refusal(request.Attributes); why != nil {
		check.Refused, parts = true, append(append(parts[:1], stun.BindingError), why...)
	}
	answer, err := stun.Build(append(parts, integrity, stun.Fingerprint)...)
	if err != nil { // which an address that is none brings about
		return nil, Check{}, false
	}
	return append(dst, answer.Raw...), check, true
}

const stunHeader = 20

// maxUnknown is how many attributes an answer says are unknown: of a peer that sends more, each of its checks names some.
const maxUnknown = 16

// refusal returns what an authentic check is refused with (RFC 8489 §6.3.1, RFC 8445 §7.3.1.1), or nothing.
func refusal(all stun.Attributes) []stun.Setter {
	var unknown stun.UnknownAttributes
	for _, a := range all {
		if a.Type.Required() && !understood(a.Type) && !slices.Contains(unknown, a.Type) && len(unknown) < maxUnknown {
			unknown = append(unknown, a.Type)
		}
	}
	if len(unknown) > 0 {
		return []stun.Setter{stun.CodeUnknownAttribute, unknown}
	}
	if _, controlled := all.Get(stun.AttrICEControlled); controlled {
		return []stun.Setter{stun.CodeRoleConflict}
	}
	return nil
}

// understood reports whether an attribute that must be is: those of STUN itself, where they have no place too, and of ICE.
func understood(a stun.AttrType) bool {
	switch a {
	case stun.AttrMappedAddress, stun.AttrUsername, stun.AttrMessageIntegrity, stun.AttrErrorCode, stun.AttrUnknownAttributes, stun.AttrRealm, stun.AttrNonce,
		stun.AttrMessageIntegritySHA256, stun.AttrPasswordAlgorithm, stun.AttrUserhash, stun.AttrXORMappedAddress, stun.AttrPriority, stun.AttrUseCandidate:
		return true
	}
	return false
}

// named returns the credentials that a check is for: "ours:theirs" (RFC 8445 §7.2.2).
func (l *Lite) named(request *stun.Message) (*Credentials, bool) {
	var name stun.Username
	if name.GetFrom(request) != nil {
		return nil, false
	}
	ours, _, ok := strings.Cut(name.String(), ":")
	switch {
	case !ok || ours == "":
	case ours == l.Now.Ufrag:
		return &l.Now, true
	case ours == l.Former.Ufrag:
		return &l.Former, true
	}
	return nil, false
}
