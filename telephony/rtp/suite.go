package rtp

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/pion/srtp/v3"

	"demarc/internal/account"
	"demarc/telephony/sdp"
)

// ErrKey tells that a key is none for its suite, or the suite not one of ours.
var ErrKey = errors.New("unusable SRTP key")

// suite is one SDES suite: its name in SDP and at pion.
type suite struct {
	name    string
	profile srtp.ProtectionProfile
}

// suites are those that we know, best first.
func suites() []suite {
	return []suite{
		{"AEAD_AES_256_GCM", srtp.ProtectionProfileAeadAes256Gcm},              // RFC 7714
		{"AES_256_CM_HMAC_SHA1_80", srtp.ProtectionProfileAes256CmHmacSha1_80}, // RFC 6188
		{"AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80}, // RFC 4568
		{"AES_CM_128_HMAC_SHA1_32", srtp.ProtectionProfileAes128CmHmacSha1_32},
	}
}

func suiteNamed(name string) (suite, error) {
	for _, s := range suites() {
		if s.name == name {
			return s, nil
		}
	}
	return suite{}, fmt.Errorf("%w: suite %q is not one of ours", ErrKey, name)
}

func (s suite) sizes() (key, salt int) {
	key, _ = s.profile.KeyLen() // both know every profile of the table
	salt, _ = s.profile.SaltLen()
	return key, salt
}

// NewKeys makes one random key for every suite, best first, with tags from 1.
func NewKeys() []sdp.Key {
	all := suites()
	keys := make([]sdp.Key, len(all))
	var raw [46]byte // the longest key and salt
	for i, s := range all {
		key, salt := s.sizes()
		rand.Read(raw[:key+salt]) // never fails: crypto/rand ends the process instead
		keys[i] = sdp.Key{Tag: i + 1, Suite: s.name, Key: account.Secret(base64.StdEncoding.EncodeToString(raw[:key+salt]))}
	}
	return keys
}

// masterOf takes an SDES key apart (RFC 4568 §6.1). Some phones leave the padding of base64 away.
func masterOf(k sdp.Key) (s suite, key, salt []byte, err error) {
	if s, err = suiteNamed(k.Suite); err != nil {
		return s, nil, nil, err
	}
	text, _, _ := strings.Cut(k.Key.Reveal(), "|")
	for len(text) > 0 && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	n, m := s.sizes()
	if err != nil || len(raw) != n+m {
		return s, nil, nil, fmt.Errorf("%w: %s takes %d bytes in base64", ErrKey, s.name, n+m)
	}
	return s, raw[:n], raw[n:], nil
}

// identifierOf returns the master key identifier that packets protected with an SDES key hold (RFC 3711 §3.1), mostly none.
func identifierOf(k sdp.Key) []byte {
	if _, text, ok := strings.Cut(k.Key.Reveal(), "|"); ok {
		return sdp.Identifier(text)
	}
	return nil
}
