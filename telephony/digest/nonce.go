package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A nonce is time (8 bytes, Unix milliseconds) | random (8) | MAC (16), base64url. Nothing is kept until somebody
// answers it rightly, so that a flood of challenges costs no memory.
const (
	nonceBody   = 16
	nonceLength = nonceBody + 16
)

// nonce is what stays of a nonce that this verifier signed.
type nonce struct {
	issued time.Time
	id     uint64
}

// signer makes nonces and knows them again.
type signer struct{ key []byte }

// newSigner derives the key of one node's one life: a nonce of another node or of an earlier life is unknown here,
// because the record of its used counts is not here either.
func newSigner(key []byte, node string) signer {
	life := make([]byte, 16)
	rand.Read(life) // never fails: crypto/rand ends the process instead
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("demarc digest nonce\x00" + node + "\x00"))
	mac.Write(life)
	return signer{key: mac.Sum(nil)}
}

func (s signer) issue(now time.Time) string {
	b := make([]byte, nonceLength)
	binary.BigEndian.PutUint64(b, uint64(now.UnixMilli()))
	rand.Read(b[8:nonceBody])
	copy(b[nonceBody:], s.mac(b[:nonceBody]))
	return base64.RawURLEncoding.EncodeToString(b)
}

// read returns the nonce's content if this signer made it.
func (s signer) read(text string) (nonce, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceLength) {
		return nonce{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || !hmac.Equal(b[nonceBody:], s.mac(b[:nonceBody])) {
		return nonce{}, false
	}
	return nonce{
		issued: time.UnixMilli(int64(binary.BigEndian.Uint64(b))),
		id:     binary.BigEndian.Uint64(b[8:]),
	}, true
}

func (s signer) mac(body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(body)
	return mac.Sum(nil)[:nonceLength-nonceBody]
}
