package digest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A nonce is time (8 bytes, Unix milliseconds) | random (8) | MAC (16), base64url. Nothing is kept until somebody
// answers it rightly, so that a flood of challenges costs no memory.
const (
	nonceBody   = aes.BlockSize
	nonceLength = nonceBody + aes.BlockSize
)

// nonce is what stays of a nonce that this verifier signed.
type nonce struct {
	issued time.Time
	id     uint64
}

// signer makes nonces and knows them again. The body is one AES block, always, and for messages of exactly one block the
// cipher itself is the MAC: nobody without the key can tell its output from random. It costs far less than an HMAC.
type signer struct{ block cipher.Block }

// newSigner derives the key of one node's one life: a nonce of another node or of an earlier life is unknown here,
// because the record of its used counts is not here either.
func newSigner(key []byte, node string) signer {
	life := make([]byte, 16)
	rand.Read(life) // never fails: crypto/rand ends the process instead
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("demarc digest nonce\x00" + node + "\x00"))
	mac.Write(life)
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // SHA-256 has the length of an AES key
	}
	return signer{block: block}
}

func (s signer) issue(now time.Time) string {
	var b [nonceLength]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli()))
	rand.Read(b[8:nonceBody])
	s.block.Encrypt(b[nonceBody:], b[:nonceBody])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// read returns the nonce's content if this signer made it.
func (s signer) read(text string) (nonce, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceLength) {
		return nonce{}, false
	}
	var b [nonceLength]byte
	if _, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(text)); err != nil {
		return nonce{}, false
	}
	var mac [aes.BlockSize]byte
	s.block.Encrypt(mac[:], b[:nonceBody])
	if subtle.ConstantTimeCompare(mac[:], b[nonceBody:]) != 1 {
		return nonce{}, false
	}
	return nonce{
		issued: time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))),
		id:     binary.BigEndian.Uint64(b[8:]),
	}, true
}
