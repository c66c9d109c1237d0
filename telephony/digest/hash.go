package digest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"strings"

	"demarc/internal/account"
)

// Algorithm is a digest algorithm by its IANA name (RFC 8760 §2).
type Algorithm string

// The algorithms.
const (
	MD5       Algorithm = "MD5"
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
)

// ParseAlgorithm reads an algorithm's name without regard to case.
func ParseAlgorithm(s string) (Algorithm, error) {
	for _, a := range [...]Algorithm{MD5, SHA256, SHA512256} {
		if s == string(a) || strings.EqualFold(s, string(a)) {
			return a, nil
		}
	}
	return "", fmt.Errorf("unknown digest algorithm %q: use MD5, SHA-256 or SHA-512-256", s)
}

// Size returns the length of the algorithm's output in hex digits; 0 for an unknown one.
func (a Algorithm) Size() int {
	switch a {
	case MD5:
		return 32
	case SHA256, SHA512256:
		return 64
	}
	return 0
}

// Sum returns H(s) in lower-case hex (RFC 7616 §3.3).
func (a Algorithm) Sum(s string) string { return string(a.appendSum(nil, []byte(s))) }

// appendSum appends H(b) in lower-case hex. What goes into SHA-2 escapes in builds guided by a profile: of MD5, which nearly all phones
// use, the text stays where it is.
func (a Algorithm) appendSum(dst, b []byte) []byte {
	switch a {
	case MD5:
		sum := md5.Sum(b)
		return hex.AppendEncode(dst, sum[:])
	case SHA256:
		sum := sha256.Sum256(bytes.Clone(b))
		return hex.AppendEncode(dst, sum[:])
	case SHA512256:
		sum := sha512.Sum512_256(bytes.Clone(b))
		return hex.AppendEncode(dst, sum[:])
	}
	return dst
}

// Hash is one HA1 with what it is bound to: in another realm or under another algorithm it is worthless, in its own it
// is the password.
type Hash struct {
	Algorithm Algorithm
	Realm     string
	HA1       account.Secret // lower-case hex
	Bytes     account.Secret // the same as bytes, where it is kept so; HA1 is empty then
}

// appendHA1 appends the HA1 in hex; nothing when there is none.
func (h *Hash) appendHA1(dst []byte) []byte {
	if h.Bytes != "" {
		return hex.AppendEncode(dst, []byte(h.Bytes.Reveal()))
	}
	return append(dst, h.HA1.Reveal()...)
}

// Mark returns a number that stands for the hash within this process, and is never 0: it tells whether two are the same, and nothing
// about either.
func (h *Hash) Mark(seed maphash.Seed) uint32 {
	var room [sha256.Size * 2]byte
	return uint32(maphash.Bytes(seed, h.appendHA1(room[:0]))) | 1
}

// whole reports whether there is an HA1 of the algorithm's length.
func (h *Hash) whole() bool {
	size := h.Algorithm.Size()
	if h.Bytes != "" {
		return len(h.Bytes)*2 == size
	}
	return size > 0 && len(h.HA1) == size
}

// NewHash computes HA1 = H(user:realm:password) (RFC 7616 §3.4.2).
func NewHash(a Algorithm, user, realm string, password account.Secret) Hash {
	return Hash{Algorithm: a, Realm: realm, HA1: account.Secret(a.Sum(user + ":" + realm + ":" + password.Reveal()))}
}

// Validate reports what is wrong with a hash that somebody typed.
func (h Hash) Validate() error {
	if h.Realm == "" {
		return fmt.Errorf("an HA1 needs its realm: it is valid in one realm only")
	}
	size := h.Algorithm.Size()
	if size == 0 {
		return fmt.Errorf("an HA1 needs its algorithm: MD5, SHA-256 or SHA-512-256")
	}
	ha1 := h.HA1.Reveal()
	if len(ha1) != size || strings.Trim(ha1, "0123456789abcdef") != "" {
		return fmt.Errorf("an HA1 for %s is %d lower-case hex digits", h.Algorithm, size)
	}
	return nil
}
