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
	Conflict  bool // both sides think that the other one leads; the answer says so
}

// Lite answers ICE connectivity checks by a leg's own name and password (RFC 8445 §2.5).
type Lite struct {
	Ufrag string
	Pwd   account.Secret
}

// NewCredentials makes a name and a password of an ICE agent: 24 and 128 random bits at least (RFC 8445 §5.3).
func NewCredentials() (ufrag string, pwd account.Secret) {
	var b [24]byte
	rand.Read(b[:])                                    // never fails: crypto/rand ends the process instead
	text := base64.RawStdEncoding.EncodeToString(b[:]) // its letters are ice-chars
	return text[:8], account.Secret(text[8:])
}

// Answer reads a check that came from an address and appends the answer to dst. Whoever does not know the password is met with
// silence: an error would only tell a stranger that somebody listens here. It is what the lite side of ICE needs: that one is asked,
// and answers (RFC 8489, RFC 8445 §16.1).
func (l Lite) Answer(dst, b []byte, from netip.AddrPort) ([]byte, Check, bool) {
	request := stun.Message{Raw: slices.Clip(b)} // the library computes behind the end
	if request.Decode() != nil || request.Type != stun.BindingRequest || len(b) != stunHeader+int(request.Length) || !l.named(&request) {
		return nil, Check{}, false
	}
	integrity := stun.NewShortTermIntegrity(l.Pwd.Reveal())
	if integrity.Check(&request) != nil {
		return nil, Check{}, false
	}
	check := Check{Nominates: request.Contains(stun.AttrUseCandidate), Conflict: request.Contains(stun.AttrICEControlled)}
	parts := []stun.Setter{stun.NewTransactionIDSetter(request.TransactionID), stun.BindingSuccess,
		stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}}
	if check.Conflict {
		parts = append(parts[:1], stun.BindingError, stun.CodeRoleConflict)
	}
	answer, err := stun.Build(append(parts, integrity, stun.Fingerprint)...)
	if err != nil { // which an address that is none brings about
		return nil, Check{}, false
	}
	return append(dst, answer.Raw...), check, true
}

const stunHeader = 20

// named reports whether a check is for this leg: "ours:theirs" (RFC 8445 §7.2.2).
func (l Lite) named(request *stun.Message) bool {
	var name stun.Username
	if name.GetFrom(request) != nil {
		return false
	}
	ours, _, ok := strings.Cut(name.String(), ":")
	return ok && l.Ufrag != "" && ours == l.Ufrag
}
