package rtp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strings"

	"demarc/internal/account"
)

// Parts of STUN (RFC 8489) and ICE (RFC 8445 §16.1) that the lite side needs: it is asked, and answers.
const (
	stunHeader      = 20
	stunCookie      = 0x2112a442
	bindingRequest  = 0x0001
	bindingSuccess  = 0x0101
	bindingFailure  = 0x0111
	attrUsername    = 0x0006
	attrIntegrity   = 0x0008
	attrErrorCode   = 0x0009
	attrXORMapped   = 0x0020
	attrUse         = 0x0025
	attrFingerprint = 0x8028
	attrControlled  = 0x8029
	fingerprintMask = 0x5354554e
	integritySize   = sha1.Size
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
// silence: an error would only tell a stranger that somebody listens here.
func (l Lite) Answer(dst, b []byte, from netip.AddrPort) ([]byte, Check, bool) {
	a, ok := readCheck(b)
	if !ok || !l.named(a.username) || !l.authentic(b, a.integrity) {
		return nil, Check{}, false
	}
	check := Check{Nominates: a.nominates, Conflict: a.controlled}
	if check.Conflict {
		return l.finish(append(startStun(dst, b, bindingFailure), 0, attrErrorCode, 0, 4, 0, 0, 4, 87), len(dst)), check, true
	}
	return l.finish(appendMapped(startStun(dst, b, bindingSuccess), b[4:stunHeader], from), len(dst)), check, true
}

// attributes is what a check brings.
type attributes struct {
	username              string
	integrity             int // where it begins; 0: none
	nominates, controlled bool
}

func readCheck(b []byte) (a attributes, ok bool) {
	if len(b) < stunHeader || binary.BigEndian.Uint16(b) != bindingRequest || binary.BigEndian.Uint32(b[4:]) != stunCookie ||
		int(binary.BigEndian.Uint16(b[2:])) != len(b)-stunHeader {
		return a, false
	}
	for at := stunHeader; at < len(b) && a.integrity == 0; {
		if len(b)-at < 4 {
			return a, false
		}
		kind, size := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		if size > len(b)-at-4 {
			return a, false
		}
		switch kind {
		case attrUsername:
			a.username = string(b[at+4 : at+4+size])
		case attrUse:
			a.nominates = true
		case attrControlled:
			a.controlled = true
		case attrIntegrity:
			if size != integritySize {
				return a, false
			}
			a.integrity = at // what follows is not protected, and not read
		}
		at += 4 + (size+3)&^3
	}
	return a, a.integrity != 0
}

// named reports whether a check is for this leg: "ours:theirs" (RFC 8445 §7.2.2).
func (l Lite) named(username string) bool {
	ours, _, ok := strings.Cut(username, ":")
	return ok && l.Ufrag != "" && ours == l.Ufrag
}

func (l Lite) authentic(b []byte, at int) bool {
	return subtle.ConstantTimeCompare(l.integrity(b, at), b[at+4:at+4+integritySize]) == 1
}

// integrity is the HMAC over a message up to the attribute at, with the length as if it ended there (RFC 8489 §14.5).
func (l Lite) integrity(b []byte, at int) []byte {
	mac := hmac.New(sha1.New, []byte(l.Pwd.Reveal()))
	var head [4]byte
	copy(head[:], b[:2])
	binary.BigEndian.PutUint16(head[2:], uint16(at+4+integritySize-stunHeader))
	mac.Write(head[:])
	mac.Write(b[4:at])
	return mac.Sum(nil)
}

func startStun(dst, request []byte, kind uint16) []byte {
	dst = append(binary.BigEndian.AppendUint16(dst, kind), 0, 0)
	return append(dst, request[4:stunHeader]...)
}

// finish adds integrity and fingerprint to the message that begins at start.
func (l Lite) finish(b []byte, start int) []byte {
	at := len(b) - start
	sum := l.integrity(b[start:], at)
	b = binary.BigEndian.AppendUint16(b, attrIntegrity)
	b = binary.BigEndian.AppendUint16(b, integritySize)
	b = append(b, sum...)
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start-stunHeader+8))
	crc := crc32.ChecksumIEEE(b[start:]) ^ fingerprintMask
	b = binary.BigEndian.AppendUint16(b, attrFingerprint)
	b = binary.BigEndian.AppendUint16(b, 4)
	return binary.BigEndian.AppendUint32(b, crc)
}

// appendMapped appends XOR-MAPPED-ADDRESS (RFC 8489 §14.2); mask is the cookie and the transaction's id.
func appendMapped(b, mask []byte, from netip.AddrPort) []byte {
	ip, family := from.Addr().Unmap().AsSlice(), byte(1)
	if len(ip) == 16 {
		family = 2
	}
	b = binary.BigEndian.AppendUint16(b, attrXORMapped)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(ip)))
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, from.Port()^binary.BigEndian.Uint16(mask))
	for i, c := range ip {
		b = append(b, c^mask[i])
	}
	return b
}
