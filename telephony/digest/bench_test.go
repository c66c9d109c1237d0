package digest_test

import (
	"fmt"
	"strings"
	"testing"

	"demarc/telephony/digest"
)

// BenchmarkDigest is the digest part of one REGISTER: a challenge, and an answer read and checked. The answer is to
// another nonce of the same verifier, with the next count each time.
func BenchmarkDigest(b *testing.B) {
	v := digest.NewVerifier(digest.Config{Key: []byte("0123456789abcdef"), Node: "n"})
	h := digest.NewHash(digest.MD5, "1001", "pbx.example.org", "secret")
	offered := []digest.Algorithm{digest.MD5}
	_, rest, _ := strings.Cut(v.Challenge(h.Realm, offered, false)[0], `nonce="`)
	nonce, _, _ := strings.Cut(rest, `"`)
	headers := make([]string, b.N)
	for i := range headers {
		nc := fmt.Sprintf("%08x", i+1)
		answer := digest.MD5.Sum(h.HA1.Reveal() + ":" + nonce + ":" + nc + ":0a4f113b:auth:" +
			digest.MD5.Sum("REGISTER:sip:pbx.example.org"))
		headers[i] = `Digest username="1001", realm="pbx.example.org", nonce="` + nonce + `", uri="sip:pbx.example.org", ` +
			`response="` + answer + `", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=` + nc
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, header := range headers {
		_ = v.Challenge(h.Realm, offered, false)
		r, err := digest.ParseAuthorization(header)
		if err != nil {
			b.Fatal(err)
		}
		if verdict := v.Verify("REGISTER", r, h); verdict != digest.OK {
			b.Fatal(verdict)
		}
	}
}

// BenchmarkParseAuthorization reads what a phone answers to a challenge.
func BenchmarkParseAuthorization(b *testing.B) {
	const value = `Digest username="1001", realm="pbx.example.org", nonce="AAABkqYqE0AAAAAAAAAAAZ6fGk2yWc1cT0cN1s3yDrM", ` +
		`uri="sip:pbx.example.org", response="0123456789abcdef0123456789abcdef", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := digest.ParseAuthorization(value); err != nil {
			b.Fatal(err)
		}
	}
}
