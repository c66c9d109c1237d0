package nodes

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"

	"demarc/telephony"
)

// Tokens makes and reads flow tokens: a flow's name that may travel in a Route or Path header, and that nobody else can
// make (RFC 5626 §5.2). All nodes that share the key read each other's.
type Tokens struct{ key []byte }

// ErrToken says that a flow token is not ours.
var ErrToken = errors.New("nodes: not a flow token of ours")

// NewTokens returns tokens under a secret key.
func NewTokens(key []byte) Tokens { return Tokens{key: key} }

const tokenMAC = 16

// Seal returns the token of a flow: number, transport, listener, remote and, where one is noted, our address, with a MAC, in base64url.
func (t Tokens) Seal(f telephony.Flow) string {
	body := binary.BigEndian.AppendUint64(nil, f.ID)
	body = append(body, strings.Join([]string{string(f.Transport), f.Listener, f.RemoteText()}, "\x00")...)
	if f.Local.IsValid() {
		body = f.Local.AppendTo(append(body, 0))
	}
	return base64.RawURLEncoding.EncodeToString(append(body, t.mac(body)...))
}

// Open returns the flow that a token names.
func (t Tokens) Open(token string) (telephony.Flow, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < 8+tokenMAC || len(raw) > 512 {
		return telephony.Flow{}, ErrToken
	}
	body, mac := raw[:len(raw)-tokenMAC], raw[len(raw)-tokenMAC:]
	if !hmac.Equal(mac, t.mac(body)) {
		return telephony.Flow{}, ErrToken
	}
	parts := strings.Split(string(body[8:]), "\x00")
	if len(parts) != 3 && len(parts) != 4 {
		return telephony.Flow{}, ErrToken
	}
	f := telephony.Flow{ID: binary.BigEndian.Uint64(body), Transport: telephony.Transport(parts[0]), Listener: parts[1]}
	f.Remote, _ = netip.ParseAddrPort(parts[2]) // what was never valid stays so
	if len(parts) == 4 {
		f.Local, _ = netip.ParseAddr(parts[3])
	}
	return f, nil
}

func (t Tokens) mac(body []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte("demarc flow token\x00"))
	h.Write(body)
	return h.Sum(nil)[:tokenMAC]
}
