package digest_test

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony/digest"
)

var algorithms = []digest.Algorithm{digest.MD5, digest.SHA256, digest.SHA512256}

// sum is a second opinion on Algorithm.Sum.
func sum(a digest.Algorithm, s string) string {
	switch a {
	case digest.MD5:
		b := md5.Sum([]byte(s))
		return hex.EncodeToString(b[:])
	case digest.SHA256:
		b := sha256.Sum256([]byte(s))
		return hex.EncodeToString(b[:])
	}
	b := sha512.Sum512_256([]byte(s))
	return hex.EncodeToString(b[:])
}

// phone answers challenges as a softphone does.
type phone struct {
	user, realm, password string
	algorithm             digest.Algorithm
}

func (p phone) hash() digest.Hash {
	return digest.NewHash(p.algorithm, p.user, p.realm, "secret of "+"1001")
}

func newPhone(a digest.Algorithm) phone {
	return phone{user: "1001", realm: "pbx.example.org", password: "secret of 1001", algorithm: a}
}

func (p phone) answer(challenge string, nc uint32, method, uri string) string {
	nonce := between(challenge, `nonce="`, `"`)
	ha1 := sum(p.algorithm, p.user+":"+p.realm+":"+p.password)
	ha2 := sum(p.algorithm, method+":"+uri)
	response := sum(p.algorithm, fmt.Sprintf("%s:%s:%08x:c0ffee:auth:%s", ha1, nonce, nc, ha2))
	return fmt.Sprintf(`Digest username=%q, realm=%q, nonce=%q, uri=%q, response=%q, algorithm=%s, `+
		`qop=auth, nc=%08x, cnonce="c0ffee"`, p.user, p.realm, nonce, uri, response, p.algorithm, nc)
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func parse(t *testing.T, value string) digest.Response {
	t.Helper()
	r, err := digest.ParseAuthorization(value)
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return r
}

type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	return c
}
func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func verifier(c *clock, node string) *digest.Verifier {
	return digest.NewVerifier(digest.Config{
		Key: []byte("0123456789abcdef"), Node: node, Lifetime: time.Minute, Nonces: 16, Now: c.now,
	})
}

// TestRFC7616Vectors takes the examples of RFC 7616 §3.9.1. Their nonce is not ours, so a right answer is Stale.
func TestRFC7616Vectors(t *testing.T) {
	for a, response := range map[digest.Algorithm]string{
		digest.MD5:    "8ca523f5e9506fed4657c9700eebdbec",
		digest.SHA256: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		t.Run(string(a), func(t *testing.T) {
			header := `Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=` +
				string(a) + `, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, ` +
				`cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="` + response + `", ` +
				`opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
			v := verifier(newClock(), "a")
			hash := digest.NewHash(a, "Mufasa", "http-auth@example.org", "Circle of Life")
			if got := v.Verify("GET", parse(t, header), hash); got != digest.Stale {
				t.Errorf("right answer: %v, want stale", got)
			}
			if got := v.Verify("PUT", parse(t, header), hash); got != digest.Wrong {
				t.Errorf("other method: %v, want wrong", got)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			c := newClock()
			v, p := verifier(c, "a"), newPhone(a)
			challenge := v.Challenge(p.realm, []digest.Algorithm{a}, false)[0]
			ask := func(nc uint32) digest.Verdict {
				return v.Verify("REGISTER", parse(t, p.answer(challenge, nc, "REGISTER", "sip:other.example")), p.hash())
			}
			for _, step := range []struct {
				nc   uint32
				want digest.Verdict
			}{{1, digest.OK}, {1, digest.Replayed}, {2, digest.OK}, {4, digest.OK}, {3, digest.OK}, {3, digest.Replayed},
				{200, digest.OK}, {5, digest.Replayed}, {199, digest.OK}, {0xffffffff, digest.OK}} {
				if got := ask(step.nc); got != step.want {
					t.Errorf("nc %d: %v, want %v", step.nc, got, step.want)
				}
			}
			wrong := p
			wrong.password = "guess"
			bad := parse(t, wrong.answer(challenge, 9, "REGISTER", "sip:x"))
			if got := v.Verify("REGISTER", bad, p.hash()); got != digest.Wrong {
				t.Errorf("wrong password: %v", got)
			}
			c.advance(61 * time.Second)
			if got := ask(6); got != digest.Stale {
				t.Errorf("after its lifetime: %v", got)
			}
			if got := v.Verify("REGISTER", bad, p.hash()); got != digest.Wrong {
				t.Errorf("a wrong answer to an old nonce must not be called stale: %v", got)
			}
		})
	}
}

func TestHashBindsRealmAndAlgorithm(t *testing.T) {
	v, p := verifier(newClock(), "a"), newPhone(digest.MD5)
	r := parse(t, p.answer(v.Challenge(p.realm, algorithms, false)[0], 1, "REGISTER", "sip:x"))
	other := p.hash()
	other.Realm = "elsewhere"
	sha := newPhone(digest.SHA256).hash()
	for _, h := range []digest.Hash{other, sha, {}} {
		if got := v.Verify("REGISTER", r, h); got != digest.Wrong {
			t.Errorf("%v %s: %v", h.Algorithm, h.Realm, got)
		}
	}
}

// TestNoHashMatchesNothing answers as one who knows that the server holds no hash of the user.
func TestNoHashMatchesNothing(t *testing.T) {
	v := verifier(newClock(), "a")
	for _, a := range algorithms {
		for _, ha1 := range []string{"", strings.Repeat("0", a.Size())} {
			p := newPhone(a)
			r := parse(t, p.answer(v.Challenge(p.realm, algorithms, false)[0], 1, "REGISTER", "sip:x"))
			r.Response = sum(a, ha1+":"+r.Nonce+":00000001:c0ffee:auth:"+sum(a, "REGISTER:sip:x"))
			if got := v.Verify("REGISTER", r, digest.Hash{Algorithm: a, Realm: p.realm}); got != digest.Wrong {
				t.Errorf("%s, HA1 %q: %v", a, ha1, got)
			}
		}
	}
}

func TestNonceOfAnotherNodeOrLifeIsStale(t *testing.T) {
	c := newClock()
	p := newPhone(digest.MD5)
	made := verifier(c, "a").Challenge(p.realm, []digest.Algorithm{digest.MD5}, false)[0]
	for _, node := range []string{"a", "b"} { // "a" again: the node restarted
		r := parse(t, p.answer(made, 1, "REGISTER", "sip:x"))
		if got := verifier(c, node).Verify("REGISTER", r, p.hash()); got != digest.Stale {
			t.Errorf("node %s: %v", node, got)
		}
		r.Response = strings.Repeat("0", 32)
		if got := verifier(c, node).Verify("REGISTER", r, p.hash()); got != digest.Wrong {
			t.Errorf("node %s, wrong answer: %v", node, got)
		}
	}
}

func TestOneWinnerPerCount(t *testing.T) {
	v, p := verifier(newClock(), "a"), newPhone(digest.MD5)
	r := parse(t, p.answer(v.Challenge(p.realm, []digest.Algorithm{digest.MD5}, false)[0], 1, "REGISTER", "sip:x"))
	var winners atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if v.Verify("REGISTER", r, p.hash()) == digest.OK {
				winners.Add(1)
			}
		})
	}
	wg.Wait()
	if winners.Load() != 1 {
		t.Fatalf("%d requests won with one nonce count", winners.Load())
	}
}

// TestForgottenNonceIsNeverGoodAgain fills the memory of 16 nonces, then turns the clock back.
func TestForgottenNonceIsNeverGoodAgain(t *testing.T) {
	c := newClock()
	v, p := verifier(c, "a"), newPhone(digest.MD5)
	use := func(challenge string, nc uint32) digest.Verdict {
		return v.Verify("REGISTER", parse(t, p.answer(challenge, nc, "REGISTER", "sip:x")), p.hash())
	}
	var made []string
	for range 100 {
		made = append(made, v.Challenge(p.realm, []digest.Algorithm{digest.MD5}, false)[0])
		if got := use(made[len(made)-1], 1); got != digest.OK {
			t.Fatalf("a fresh nonce: %v", got)
		}
		c.advance(time.Second)
	}
	c.advance(-100 * time.Second)
	for i, challenge := range made {
		if got := use(challenge, 1); got == digest.OK {
			t.Errorf("nonce %d was good twice", i)
		}
	}
}

// TestClockIsSet lets the clock jump while nonces come and are forgotten: phones go on, and no nonce is good twice.
func TestClockIsSet(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"an hour back": -time.Hour, "a year back": -365 * 24 * time.Hour, "before 1970": -100 * 365 * 24 * time.Hour,
		"an hour ahead": time.Hour, "a year ahead": 365 * 24 * time.Hour, "less than a nonce lives back": -20 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			v, p := verifier(c, "a"), newPhone(digest.MD5)
			use := func(challenge string) digest.Verdict {
				return v.Verify("REGISTER", parse(t, p.answer(challenge, 1, "REGISTER", "sip:x")), p.hash())
			}
			var made []string
			for i := range 300 {
				if i == 100 {
					c.advance(jump)
				}
				made = append(made, v.Challenge(p.realm, []digest.Algorithm{digest.MD5}, false)[0])
				if got := use(made[i]); got != digest.OK {
					t.Fatalf("fresh nonce %d: %v", i, got)
				}
				c.advance(time.Second)
			}
			c.advance(-jump)
			for i, challenge := range made {
				if got := use(challenge); got == digest.OK {
					t.Errorf("nonce %d was good twice", i)
				}
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	v := verifier(newClock(), "a")
	values := v.Challenge(`a "b" \c`+"\r\n", []digest.Algorithm{digest.MD5, digest.SHA256}, true)
	if len(values) != 2 || !strings.Contains(values[0], "algorithm=MD5,") ||
		!strings.Contains(values[1], "algorithm=SHA-256,") {
		t.Fatalf("challenges in the wrong order: %q", values)
	}
	for _, value := range values {
		if !strings.HasPrefix(value, `Digest realm="a \"b\" \\c", nonce="`) ||
			!strings.HasSuffix(value, `qop="auth", stale=true`) || strings.ContainsAny(value, "\r\n") {
			t.Errorf("challenge %q", value)
		}
	}
	if again := v.Challenge("r", algorithms[:1], false)[0]; strings.Contains(again, "stale") ||
		between(again, `nonce="`, `"`) == between(values[0], `nonce="`, `"`) {
		t.Errorf("challenge %q", again)
	}
}

func TestNewHash(t *testing.T) {
	for _, a := range algorithms {
		h := digest.NewHash(a, "1001", "r", "p:w")
		if h.HA1.Reveal() != sum(a, "1001:r:p:w") || h.Validate() != nil {
			t.Errorf("%s: wrong HA1 or %v", a, h.Validate())
		}
	}
	for _, bad := range []digest.Hash{
		{}, {Realm: "r"}, {Realm: "r", Algorithm: digest.MD5, HA1: "xyz"},
		{Algorithm: digest.MD5, HA1: "0123456789abcdef0123456789abcdef"},
		{Realm: "r", Algorithm: digest.SHA256, HA1: "0123456789abcdef0123456789abcdef"},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
	if _, err := digest.ParseAlgorithm("sha-256"); err != nil {
		t.Error(err)
	}
	if _, err := digest.ParseAlgorithm("MD5-sess"); err == nil {
		t.Error("MD5-sess is not supported")
	}
}

// An HA1 that is given as bytes is the same HA1, and half of one is none.
func TestHashAsBytes(t *testing.T) {
	for _, a := range algorithms {
		v, p := verifier(newClock(), "n"), newPhone(a)
		h := p.hash()
		raw, err := hex.DecodeString(h.HA1.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		for length, want := range map[int]digest.Verdict{len(raw): digest.OK, len(raw) / 2: digest.Wrong, 0: digest.Wrong} {
			answer := parse(t, p.answer(v.Challenge(p.realm, []digest.Algorithm{a}, false)[0], 1, "REGISTER", "sip:pbx.example.org"))
			given := digest.Hash{Algorithm: a, Realm: h.Realm, Bytes: account.Secret(raw[:length])}
			if got := v.Verify("REGISTER", answer, given); got != want {
				t.Errorf("%s, %d bytes: %s, want %s", a, length, got, want)
			}
			if printed := fmt.Sprintf("%v %+v", given, given); length > 0 && strings.Contains(printed, string(raw[:length])) {
				t.Errorf("%s: an HA1 is printed", a)
			}
		}
	}
}
