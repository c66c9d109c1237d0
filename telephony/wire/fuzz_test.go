package wire_test

import (
	"bytes"
	"testing"

	"demarc/telephony/wire"
)

// A URI that is read has a host, and a user that may be stored and compared.
func FuzzURI(f *testing.F) {
	for _, s := range []string{
		"sip:1001@example.com", "sips:a%20b:pw@[2001:db8::1]:5061;transport=tls;lr?subject=x", "sip:%31@h", "tel:+49", "sip:a@b:99999",
		"sip:;par=u%40@example.net", "SIP:H_1",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, ok := wire.ParseURI(b)
		if !ok {
			return
		}
		if len(u.Host) == 0 || u.Port < 0 || u.Port > 65535 {
			t.Errorf("%q: host %q, port %d", b, u.Host, u.Port)
		}
		user := wire.CanonicalUser(u.User)
		for i := range len(user) {
			if user[i] < ' ' || user[i] >= 0x80 {
				t.Errorf("%q: user %q", b, user)
			}
		}
		if again := wire.CanonicalUser([]byte(user)); again != user {
			t.Errorf("%q: %q becomes %q", b, user, again)
		}
	})
}

// Whatever a header holds, its lists end, no value is empty, and what is read stands in it.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		`"A, \"B\"" <sip:a@b;x=","?y>;q=0.5;+sip.instance="<urn:uuid:1>", *, sip:c@d;expires=5`,
		"SIP / 2.0 / UDP [::1]:5060 ;branch=z9hG4bK1;rport, SIP/2.0/TCP a", "<", `"`, ";a;b=;c", ",,", `a;b="c`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		values := 0
		for value, rest, ok := wire.NextValue(b); ok; value, rest, ok = wire.NextValue(rest) {
			if values++; len(value) == 0 || values > len(b) {
				t.Fatalf("%q: value %d is %q", b, values, value)
			}
			n, ok := wire.ParseNameAddr(value)
			if !ok {
				continue
			}
			params := 0
			for _, _, more, ok := wire.NextParam(n.Params); ok; _, _, more, ok = wire.NextParam(more) {
				if params++; params > len(value) {
					t.Fatalf("%q: parameters without end", value)
				}
			}
		}
		if v, rest, ok := wire.ParseVia(b); ok && (len(v.SentBy) == 0 || len(rest) >= len(b)) {
			t.Errorf("%q: sent-by %q, rest %q", b, v.SentBy, rest)
		}
	})
}

// The end of a head is where its four bytes stand first.
func FuzzHeadEnd(f *testing.F) {
	for _, s := range []string{"a\r\n\r\n", "\r\n\r\nx", "\n\r\n\r\n", "a\r\n\r", "\r\r\n\r\n\n", "a\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want := bytes.Index(b, []byte("\r\n\r\n"))
		if want >= 0 {
			want += 4
		}
		if got := wire.HeadEnd(b); got != want {
			t.Errorf("%q: %d, want %d", b, got, want)
		}
	})
}

// A list is cut at the same place whether or not a quote stands after it.
func FuzzUntil(f *testing.F) {
	for _, s := range []string{"<a,b>,c", "a<b,>,<,", "<<a,>,b", ">,<", ",", "<a;b>;c", "a,b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.IndexByte(b, '"') >= 0 {
			return
		}
		if fast, slow := wire.Until(b, ','); fast != slow {
			t.Errorf("%q: %d or %d", b, fast, slow)
		}
	})
}

// What a quick look at a parameter finds is what a close one does.
func FuzzParam(f *testing.F) {
	for _, s := range []string{";a=b;c", ";a", ";a=;b", ";=b", ";a =b", ";a=\"b\";c", ";a;b ", "; a", ";a=b<c;d>", ";a\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		quick, close, ok := wire.Params(b)
		if !ok {
			return
		}
		if !bytes.Equal(quick[0], close[0]) || !bytes.Equal(quick[1], close[1]) || !bytes.Equal(bytes.TrimRight(quick[2], " \t"), close[2]) {
			t.Errorf("%q: %q, or %q", b, quick, close)
		}
	})
}
