package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"demarc/telephony/wire"
)

func TestParseURI(t *testing.T) {
	for in, want := range map[string]string{
		"sip:1001@Example.com":                        "1001|Example.com|0||",
		"SIPS:a@b:5061;transport=tls;lr":              "a|b|5061|;transport=tls;lr|",
		"sip:host":                                    "|host|0||",
		"sip:[2001:db8::1]:5070":                      "|2001:db8::1|5070||",
		"sip:a:secret@h?x=y":                          "a|h|0||x=y",
		"sip:user;par=u%40example.net@example.com":    "user;par=u%40example.net|example.com|0||",
		"sip:1_un~(to-be!sure)&isn't+it$/c?,/;;*@a.b": "1_un~(to-be!sure)&isn't+it$/c?,/;;*|a.b|0||",
		"sip:a@my_host":                               "a|my_host|0||",
		"tel:+49":                                     "",
		"sip:":                                        "",
		"sip:@h":                                      "",
		"sip:a@":                                      "",
		"sip:a@h:0":                                   "",
		"sip:a@h:65536":                               "",
		"sip:a@h:":                                    "",
		"sip:a@2001:db8::1":                           "",
		"sip:a@[2001:db8::1":                          "",
		"sip:a@[127.0.0.1]":                           "",
		"sip:a@[fe80::1%25eth0]":                      "",
		"sip:a b@h":                                   "",
		"sip:a\x00@h":                                 "",
		"sip:a%4@h":                                   "",
		"sip:a%zz@h":                                  "",
		"sip:a@h;x=<y>":                               "",
		"sip:a@b@c":                                   "",
		"sip:a@" + strings.Repeat("h", 256):           "",
		"sip:a@h,b":                                   "",
	} {
		u, ok := wire.ParseURI([]byte(in))
		got := ""
		if ok {
			got = fmt.Sprintf("%s|%s|%d|%s|%s", u.User, u.Host, u.Port, u.Params, u.Headers)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCanonicalUser(t *testing.T) {
	for in, want := range map[string]string{
		"1001": "1001", "%31001": "1001", "a%2Fb": "a/b", "null-%00-null": "null-%00-null", "%c3%a9": "%C3%A9",
		"é": "%C3%A9", "%25": "%25", "a%20b": "a%20b", "%4": "%4", "%zz": "%zz", "\x01": "%01", "%40": "%40",
	} {
		if got := wire.CanonicalUser([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestParseNameAddr(t *testing.T) {
	for in, want := range map[string]string{
		`<sip:a@b>`:                          `|sip:a@b|`,
		`"A \"<x>\" \\" <sip:a@b>;tag=1`:     `"A \"<x>\" \\"|sip:a@b|;tag=1`,
		`Tok en<sip:a@b;lr>  ; x = "y;z" ;f`: `Tok en|sip:a@b;lr|; x = "y;z" ;f`,
		`sip:a@b;tag=1`:                      `|sip:a@b|;tag=1`,
		`Jürgen <sip:a@b>`:                   `Jürgen|sip:a@b|`,
		`<tel:+49>;tag=1`:                    `|tel:+49|;tag=1`,
		`<name:John_Smith>`:                  `|name:John_Smith|`,
		`"Mr. Watson <sip:a@b>`:              ``,
		`"A" x <sip:a@b>`:                    ``,
		`"A <sip:a@b>"`:                      ``,
		`Bell, A <sip:a@b>`:                  ``,
		`<sip:a@b`:                           ``,
		`<sip:a@b> x`:                        ``,
		`<sip:a@b>;=x`:                       ``,
		`<sip:a@b>;x=`:                       ``,
		`<sip:a@b>;x="y`:                     ``,
		`<sip:a@b>;x=y"z"`:                   ``,
		`<a@b>`:                              ``,
		`< sip:a@b>`:                         ``,
		`sip:a@b?x=y`:                        ``,
		`sip:a,b@c`:                          ``,
		``:                                   ``,
	} {
		n, ok := wire.ParseNameAddr([]byte(in))
		got := ""
		if ok {
			got = fmt.Sprintf("%s|%s|%s", n.Display, n.URI, n.Params)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNextValue(t *testing.T) {
	in := ` <sip:a,b@c>;x="1,2" ,, "q,\"," <sip:d> , e`
	var got []string
	for v, rest, ok := wire.NextValue([]byte(in)); ok; v, rest, ok = wire.NextValue(rest) {
		got = append(got, string(v))
	}
	if want := `<sip:a,b@c>;x="1,2"|"q,\"," <sip:d>|e`; strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
}

func TestParseVia(t *testing.T) {
	for in, want := range map[string]string{
		"SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport":                    "UDP|h|5060|z9hG4bK1|",
		"SIP  / 2.0  / TCP     h   ;  branch  =   z  , SIP/2.0/UDP x": "TCP|h|0|z|SIP/2.0/UDP x",
		"SIP/2.0/TLS [2001:db8::9:1]:5061;received=2001:db8::9:255":   "TLS|2001:db8::9:1|5061||",
		"SIP/3.0/UDP h":       "",
		"SIP/2.0/UDP":         "",
		"SIP/2.0/ h":          "",
		"SIP/2.0 UDP h":       "",
		"HTTP/2.0/UDP h":      "",
		"SIP/2.0/UDP h;=":     "",
		"SIP/2.0/UDP a b":     "",
		"":                    "",
		",":                   "",
		"SIP/2.0/UDP h:99999": "",
	} {
		v, rest, ok := wire.ParseVia([]byte(in))
		got := ""
		if ok {
			got = fmt.Sprintf("%s|%s|%d|%s|%s", v.Transport, v.Host, v.Port, v.Branch(), strings.TrimSpace(string(rest)))
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[string]int{"0": 0, "600": 600, "": 3600, "-1": 3600, "x": 3600, "280297596632815": 3600} {
		if got := wire.Seconds([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	var m wire.Message
	raw := []byte(register)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if err := m.Scan(raw, wire.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
