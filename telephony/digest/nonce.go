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
	"sync"
	"sync/atomic"
	"time"
)

// A nonce is time (8 bytes, Unix milliseconds) | number (8) | MAC (16), base64url. The number makes it the only one; that
// nobody can foretell it is the MAC's doing. Nothing is kept until somebody answers it rightly, so that a flood of
// challenges costs no memory.
const (
	nonceBody   = aes.BlockSize
	nonceLength = nonceBody + aes.BlockSize
	nonceText   = (nonceLength*8 + 5) / 6 // in base64url
)

// nonce is what stays of a nonce that this verifier signed.
type nonce struct {
	issued time.Time
	id     uint64
}

// signer makes nonces and knows them again. The body is one AES block, always, and for messages of exactly one block the
// cipher itself is the MAC: nobody without the key can tell its output from random. It costs far less than an HMAC.
type signer struct {
	block cipher.Block
	last  *atomic.Uint64 // number given out
	text  *base64.Encoding
	rooms *sync.Pool // of *nonceRoom
}

// nonceRoom is where a nonce is worked on: through the cipher's interface it would be garbage each time.
type nonceRoom struct {
	raw  [nonceLength]byte
	mac  [aes.BlockSize]byte
	text [nonceText]byte
}

func (s signer) room() *nonceRoom {
	if r, ok := s.rooms.Get().(*nonceRoom); ok {
		return r
	}
	return new(nonceRoom)
}

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
	s := signer{block: block, last: new(atomic.Uint64), text: base64.RawURLEncoding.Strict(), rooms: new(sync.Pool)}
	// Anywhere, for the number is to tell nothing of how many came before; in the lower half, so that it never starts anew.
	s.last.Store(binary.BigEndian.Uint64(life) >> 1)
	return s
}

// appendNonce appends a new nonce.
func (s signer) appendNonce(dst []byte, now time.Time) []byte {
	r := s.room()
	defer s.rooms.Put(r)
	b := &r.raw
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(b[8:], s.last.Add(1))
	s.block.Encrypt(b[nonceBody:], b[:nonceBody])
	return s.text.AppendEncode(dst, b[:])
}

// read returns the nonce's content if this signer made it.
func (s signer) read(text string) (nonce, bool) {
	if len(text) != nonceText {
		return nonce{}, false
	}
	r := s.room()
	defer s.rooms.Put(r)
	b := &r.raw
	if _, err := s.text.Decode(b[:], append(r.text[:0], text...)); err != nil {
		return nonce{}, false
	}
	s.block.Encrypt(r.mac[:], b[:nonceBody])
	if subtle.ConstantTimeCompare(r.mac[:], b[nonceBody:]) != 1 {
		return nonce{}, false
	}
	return nonce{
		issued: time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))),
		id:     binary.BigEndian.Uint64(b[8:]),
	}, true
}
