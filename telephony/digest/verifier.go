package digest

import (
	"crypto/sha512"
	"crypto/subtle"
	"strings"
	"sync/atomic"
	"time"
)

// Verdict says what to make of an answer to a challenge.
type Verdict int

// The verdicts. Only Stale and Replayed are said of a right answer, so that only they may be told stale=true.
const (
	Wrong     Verdict = iota // user, realm, algorithm or password differ
	OK                       // the phone knows the password, and this is the first use of this nonce count
	Stale                    // right, but the nonce is too old or of another node: challenge again with stale=true
	Replayed                 // right, but this nonce count was used: a retransmission, or somebody else's copy
	Malformed                // cannot be checked
	NoQOP                    // the phone answered as in RFC 2069, without qop: it can be replayed and is not accepted
)

// String returns the verdict's name.
func (v Verdict) String() string {
	switch v {
	case Wrong:
		return "wrong"
	case OK:
		return "ok"
	case Stale:
		return "stale"
	case Replayed:
		return "replayed"
	case NoQOP:
		return "no_qop"
	}
	return "malformed"
}

// Config of a Verifier.
type Config struct {
	Key      []byte           // signs nonces; at least 16 bytes
	Node     string           // this node's name: a nonce is good only at the node that made it
	Lifetime time.Duration    // of a nonce; 10 minutes when 0
	Nonces   int              // how many answered nonces are remembered; 200,000 when 0
	Now      func() time.Time // time.Now when nil
}

const (
	defaultLifetime = 10 * time.Minute
	defaultNonces   = 200_000
)

// Verifier makes challenges and checks answers. It is safe for concurrent use.
type Verifier struct {
	signer   signer
	counts   *counts
	lifetime time.Duration
	now      func() time.Time
	asked    [8]atomic.Pointer[request]
}

// request is what one right answer was about. Most phones of a domain ask for the same, so that its hash, H(A2), need not be
// computed each time; it holds nothing of whoever asks.
type request struct {
	method, uri string
	algorithm   Algorithm
	hash        string
}

// place returns where a request like it is remembered.
func (v *Verifier) place(r *Response) *atomic.Pointer[request] {
	return &v.asked[len(r.URI)%len(v.asked)]
}

// appendA2 appends H(A2) (RFC 7616 §3.4.3) and reports whether it was remembered.
func (v *Verifier) appendA2(dst []byte, method string, r *Response) (hash []byte, known bool) {
	if q := v.place(r).Load(); q != nil && q.uri == r.URI && q.method == method && q.algorithm == r.Algorithm {
		return append(dst, q.hash...), true
	}
	var text [256]byte // nearly always enough
	return r.Algorithm.appendSum(dst, join(text[:0], method, r.URI)), false
}

// NewVerifier returns a Verifier that knows none of the nonces made before.
func NewVerifier(c Config) *Verifier {
	if c.Lifetime <= 0 {
		c.Lifetime = defaultLifetime
	}
	if c.Nonces <= 0 {
		c.Nonces = defaultNonces
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{
		signer:   newSigner(c.Key, c.Node),
		counts:   newCounts(c.Lifetime, c.Nonces),
		lifetime: c.Lifetime,
		now:      c.Now,
	}
}

// Challenge returns WWW-Authenticate values, one per algorithm in the given order, all with one new nonce. Phones
// differ in which of several they take, so the order is the caller's setting.
func (v *Verifier) Challenge(realm string, algorithms []Algorithm, stale bool) []string {
	values := make([]string, 0, len(algorithms))
	nonce := v.Nonce(v.now())
	for _, a := range algorithms {
		var text [256]byte // nearly always enough
		values = append(values, string(AppendChallenge(text[:0], realm, a, nonce, stale)))
	}
	return values
}

// Nonce is the text of a nonce.
type Nonce [nonceText]byte

// Nonce returns a new nonce that is issued at a time.
func (v *Verifier) Nonce(at time.Time) (n Nonce) {
	v.signer.appendNonce(n[:0], at)
	return n
}

// AppendChallenge appends one WWW-Authenticate value.
func AppendChallenge(dst []byte, realm string, a Algorithm, nonce Nonce, stale bool) []byte {
	dst = append(appendQuoted(append(dst, "Digest realm="...), realm), `, nonce="`...)
	dst = append(append(append(dst, nonce[:]...), `", algorithm=`...), a...)
	dst = append(dst, `, qop="auth"`...)
	if stale {
		dst = append(dst, ", stale=true"...)
	}
	return dst
}

// Verify checks an answer against one HA1. It takes the same time whatever is wrong, so that a caller without a hash
// passes an empty one: that matches nothing. A right answer uses its nonce count up.
func (v *Verifier) Verify(method string, r Response, h Hash) Verdict {
	return v.VerifyAt(method, &r, h, v.now())
}

// VerifyAt is Verify at a time.
func (v *Verifier) VerifyAt(method string, r *Response, h Hash, now time.Time) Verdict {
	if r.Algorithm.Size() == 0 || r.Nonce == "" {
		return Malformed
	}
	if r.QOP == "" {
		return NoQOP
	}
	n, ours := v.signer.read(r.Nonce)
	var room [sha512.Size256 * 2]byte
	a2, known := v.appendA2(room[:0], method, r)
	right := r.right(&h, a2)
	if !right || h.Algorithm != r.Algorithm || h.Realm != r.Realm || !h.whole() {
		return Wrong // without the last check anybody could answer for an empty HA1
	}
	if !known {
		v.place(r).Store(&request{strings.Clone(method), strings.Clone(r.URI), r.Algorithm, string(a2)})
	}
	age := now.Sub(n.issued)
	if !ours || age >= v.lifetime || age < -v.lifetime {
		return Stale
	}
	return v.counts.use(n, r.NC, now, v.lifetime)
}

// right reports whether the answer is that of one who knows the HA1 (RFC 7616 §3.4.1).
func (r *Response) right(h *Hash, a2 []byte) bool {
	var text [512]byte // nearly always enough
	var second [sha512.Size256 * 2]byte
	secret := h.appendHA1(text[:0])
	if len(secret) == 0 {
		secret = append(secret, zeros[:r.Algorithm.Size()]...) // as much work as with a hash
	}
	secret = append(join(secret, "", r.Nonce, r.nc, r.CNonce, r.QOP, ""), a2...)
	expected := r.Algorithm.appendSum(second[:0], secret)
	return subtle.ConstantTimeCompare(expected, []byte(r.Response)) == 1
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// join appends the parts with colons between them.
func join(dst []byte, parts ...string) []byte {
	for i, part := range parts {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, part...)
	}
	return dst
}

// appendQuoted writes a quoted-string; control characters, which none may hold, are left out.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
