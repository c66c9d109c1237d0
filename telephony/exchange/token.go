package exchange

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
)

const (
	idSize  = 12 // bytes of a call's id
	macSize = 10
)

// place is a leg of a call.
type place struct {
	call telephony.CallID
	leg  int
}

// tokens makes and reads the user parts of our Contacts: account, call and leg with a MAC, so that any node finds the call
// of a request by its URI, and nobody makes one up.
//
// The MAC is a CBC-MAC under AES (FIPS 113), which costs a tenth of an HMAC. It is sound because no body is the beginning of
// another one: the first block says how long it is.
type tokens struct{ block cipher.Block }

func newTokens(key []byte) *tokens {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("demarc leg token\x00"))
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		panic(err) // SHA-256 has the length of an AES key
	}
	return &tokens{block}
}

// maxToken is the longest token, and rawToken what it holds.
const (
	maxToken = 256
	rawToken = maxToken * 3 / 4
)

// seal appends the token of a leg.
func (t *tokens) seal(b []byte, acc account.ID, p place) []byte {
	var raw [rawToken]byte
	var id [2 * idSize]byte
	copy(id[:], p.call)
	_, _ = hex.Decode(raw[:idSize], id[:]) // an id that we made
	body := append(append(raw[:idSize], byte(p.leg)), acc...)
	return base64.RawURLEncoding.AppendEncode(b, t.mac(body, body))
}

// mac appends the MAC of a body to b.
func (t *tokens) mac(b, body []byte) []byte {
	var sum [aes.BlockSize]byte
	binary.BigEndian.PutUint64(sum[:], uint64(len(body)))
	for t.block.Encrypt(sum[:], sum[:]); len(body) > 0; t.block.Encrypt(sum[:], sum[:]) {
		body = body[subtle.XORBytes(sum[:], sum[:], body[:min(len(body), len(sum))]):]
	}
	return append(b, sum[:macSize]...)
}

// strictly refuses a second way to write the same token.
var strictly = base64.RawURLEncoding.Strict()

// open reads a token.
func (t *tokens) open(token string) (account.ID, place, bool) {
	if len(token) > maxToken {
		return "", place{}, false
	}
	var text [maxToken]byte
	var room [rawToken]byte
	raw, err := strictly.AppendDecode(room[:0], append(text[:0], token...))
	if err != nil || len(raw) < idSize+1+macSize {
		return "", place{}, false
	}
	body := raw[:len(raw)-macSize]
	var sum [macSize]byte
	if !hmac.Equal(raw[len(body):], t.mac(sum[:0], body)) {
		return "", place{}, false
	}
	return account.ID(body[idSize+1:]), place{idOf[telephony.CallID](body), int(body[idSize])}, true
}

// tokenOf returns the user part of a sip URI.
func tokenOf(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, ok := strings.Cut(rest, "@")
	if !ok {
		return ""
	}
	return user
}

// A tag of ours is the call's id, the leg and chance: it names the dialog too, where a peer mangles our Contact, and in
// Replaces.
func tag(p place, chance uint64) string {
	b := make([]byte, 0, 2*idSize+16)
	b = append(append(b, p.call...), '-')
	b = append(strconv.AppendInt(b, int64(p.leg), 10), '-')
	return string(strconv.AppendUint(b, chance, 36))
}

// placeOf reads a tag of ours. Whether it is one, the call says.
func placeOf(tag string) (place, bool) {
	id, rest, _ := strings.Cut(tag, "-")
	number, _, ok := strings.Cut(rest, "-")
	leg, err := strconv.Atoi(number)
	if !ok || err != nil || len(id) != 2*idSize {
		return place{}, false
	}
	return place{telephony.CallID(id), leg}, true
}

// dice are random values from the system, read a few at a time. They belong to one worker.
type dice struct {
	b    [512]byte
	left int
}

func (d *dice) bytes(n int) []byte {
	if d.left < n {
		rand.Read(d.b[:]) // never fails
		d.left = len(d.b)
	}
	d.left -= n
	return d.b[d.left : d.left+n]
}

func (d *dice) number() uint64 {
	var n uint64
	for _, c := range d.bytes(8) {
		n = n<<8 | uint64(c)
	}
	return n
}

// idOf writes the id that a text begins with.
func idOf[T ~string](b []byte) T {
	var text [2 * idSize]byte
	hex.Encode(text[:], b[:idSize])
	return T(text[:])
}

// id returns a Call-ID.
func (d *dice) id() string { return idOf[string](d.bytes(idSize)) }

// callID returns the id of a call that begins, with the time first: new rows stand beside each other in the store.
func (d *dice) callID(now time.Time) telephony.CallID {
	var id [idSize]byte
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16)
	copy(id[6:], d.bytes(idSize-6))
	return idOf[telephony.CallID](id[:])
}
