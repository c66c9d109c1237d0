package digest_test

import (
	"strconv"
	"strings"
	"testing"

	"demarc/telephony/digest"
)

// BenchmarkChallengeAndVerify is the digest part of one REGISTER: a challenge, and the answer read and checked.
func BenchmarkChallengeAndVerify(b *testing.B) {
	v := digest.NewVerifier(digest.Config{Key: []byte("0123456789abcdef"), Node: "n"})
	h := digest.NewHash(digest.MD5, "1001", "pbx.example.org", "secret")
	a2 := digest.MD5.Sum("REGISTER:sip:pbx.example.org")
	b.ReportAllocs()
	for range b.N {
		_, rest, _ := strings.Cut(v.Challenge("pbx.example.org", []digest.Algorithm{digest.MD5}, false)[0], `nonce="`)
		nonce, _, _ := strings.Cut(rest, `"`)
		b.StopTimer()
		answer := digest.MD5.Sum(h.HA1.Reveal() + ":" + nonce + ":00000001:0a4f113b:auth:" + a2)
		header := `Digest username="1001", realm="pbx.example.org", nonce=` + strconv.Quote(nonce) +
			`, uri="sip:pbx.example.org", response="` + answer + `", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001`
		b.StartTimer()
		r, err := digest.ParseAuthorization(header)
		if err != nil {
			b.Fatal(err)
		}
		if verdict := v.Verify("REGISTER", r, h); verdict != digest.OK {
			b.Fatal(verdict)
		}
	}
}
