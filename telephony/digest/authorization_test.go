package digest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"demarc/telephony/digest"
)

const zeros = "00000000000000000000000000000000"

func header(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`Digest username="1001",realm="r",nonce="n",uri="sip:r",` +
		`response="` + zeros + `",algorithm=MD5,qop=auth,nc=00000001,cnonce="c"`)
}

func TestParseAuthorization(t *testing.T) {
	tests := []struct {
		name, value string
		check       func(digest.Response) bool
	}{
		{"plain", header(), func(r digest.Response) bool {
			return r.Username == "1001" && r.Realm == "r" && r.Nonce == "n" && r.URI == "sip:r" && r.NC == 1 &&
				r.CNonce == "c" && r.QOP == "auth" && r.Algorithm == digest.MD5 && r.Response == zeros
		}},
		{"spaces and case", header(`Digest `, "dIGEST \t", ",realm=", " , REALM = "),
			func(r digest.Response) bool { return r.Realm == "r" }},
		{"quoted qop and algorithm", header(`qop=auth`, `qop="auth"`, `=MD5`, `="md5"`),
			func(r digest.Response) bool { return r.QOP == "auth" && r.Algorithm == digest.MD5 }},
		{"no algorithm is MD5", header(`algorithm=MD5,`, ``),
			func(r digest.Response) bool { return r.Algorithm == digest.MD5 }},
		{"escapes", header(`"1001"`, `"1\"0\\1"`), func(r digest.Response) bool { return r.Username == `1"0\1` }},
		{"comma in quotes", header(`"1001"`, `"a, realm=\"x\""`),
			func(r digest.Response) bool { return r.Username == `a, realm="x"` && r.Realm == "r" }},
		{"unknown parameter", header(`qop=auth`, `x=y,opaque="",qop=auth`),
			func(r digest.Response) bool { return r.QOP == "auth" }},
		{"RFC 2069", header(`,qop=auth,nc=00000001,cnonce="c"`, ``),
			func(r digest.Response) bool { return r.QOP == "" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := digest.ParseAuthorization(test.value)
			if err != nil {
				t.Fatal(err)
			}
			if !test.check(r) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestParseAuthorizationRefuses(t *testing.T) {
	for name, value := range map[string]string{
		"empty": "", "scheme": "Basic dTpw", "scheme alone": "Digest", "glued": header("Digest ", "Digest"),
		"repeated":            header(`qop=auth`, `qop=auth,qop=auth`),
		"repeated, case":      header(`qop=auth`, `qop=auth,USERNAME="1002"`),
		"repeated unknown":    header(`qop=auth`, `x=1,x=2,qop=auth`),
		"open quote":          header(`cnonce="c"`, `cnonce="c`),
		"open escape":         header(`cnonce="c"`, `cnonce="c\`),
		"trailing comma":      header() + ",",
		"no comma":            header(`,qop`, ` qop`),
		"no value":            header(`qop=auth`, `qop=`),
		"unquoted user":       header(`"1001"`, `1001`),
		"no nonce":            header(`nonce="n",`, ``),
		"short response":      header(zeros, "00"),
		"upper-case response": header(zeros, strings.Repeat("A", 32)),
		"length of another":   header(`=MD5`, `=SHA-256`),
		"unknown algorithm":   header(`=MD5`, `=MD5-sess`),
		"auth-int":            header(`qop=auth`, `qop=auth-int`),
		"nc zero":             header(`00000001`, `00000000`),
		"nc short":            header(`00000001`, `1`),
		"nc not hex":          header(`00000001`, `0000000g`),
		"nc signed":           header(`00000001`, `+0000001`),
		"qop without nc":      header(`nc=00000001,`, ``),
		"qop without cnonce":  header(`,cnonce="c"`, ``),
		"nc without qop":      header(`qop=auth,`, ``),
		"userhash":            header(`qop=auth`, `userhash=true,qop=auth`),
		"username*":           header(`qop=auth`, `username*=UTF-8''x,qop=auth`),
		"control":             header(`"1001"`, "\"10\x0001\""),
		"line end":            header(`"1001"`, "\"10\r\n01\""),
		"escaped nonce":       header(`nonce="n"`, `nonce="\n"`),
		"long":                header(`"1001"`, `"`+strings.Repeat("1", 5000)+`"`),
		"many":                header() + strings.Repeat(",a", 40),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := digest.ParseAuthorization(value)
			if !errors.Is(err, digest.ErrMalformed) {
				t.Errorf("%q: %+v, %v", value, r, err)
			}
		})
	}
}

func TestLegacyAnswerHasItsOwnVerdict(t *testing.T) {
	r := parse(t, header(`,qop=auth,nc=00000001,cnonce="c"`, ``))
	if got := verifier(newClock(), "a").Verify("REGISTER", r, newPhone(digest.MD5).hash()); got != digest.NoQOP {
		t.Errorf("%v, want no_qop", got)
	}
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add(header())
	f.Add(header(`"1001"`, `"1\"0\\1"`))
	f.Add(`Digest a="` + strings.Repeat(`\"`, 500))
	f.Add("Digest " + strings.Repeat("a=b,", 100))
	f.Fuzz(func(t *testing.T, value string) {
		began := time.Now()
		r, err := digest.ParseAuthorization(value)
		if time.Since(began) > 2*time.Second {
			t.Fatalf("%d bytes took %v", len(value), time.Since(began))
		}
		if err != nil {
			if r != (digest.Response{}) {
				t.Fatalf("an error with a response: %+v", r)
			}
			return
		}
		if r.Username == "" && !strings.Contains(value, `""`) || len(r.Response) != r.Algorithm.Size() {
			t.Fatalf("%q: %+v", value, r)
		}
		if again, err := digest.ParseAuthorization(value); err != nil || again != r {
			t.Fatalf("not the same twice: %+v %+v", r, again)
		}
	})
}
