package sip_test

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"

	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

func TestAppendResponse(t *testing.T) {
	for name, c := range map[string]struct{ via, src, want string }{
		"rport": {
			"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport;x=\"a;b\"", "192.0.2.9:4711",
			"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport=4711;x=\"a;b\";received=192.0.2.9",
		},
		"same address, rport": {
			"SIP/2.0/UDP 192.0.2.9;rport", "192.0.2.9:4711",
			"SIP/2.0/UDP 192.0.2.9;rport=4711;received=192.0.2.9",
		},
		"same address": {"SIP/2.0/UDP 192.0.2.9;branch=1", "[::ffff:192.0.2.9]:4711", "SIP/2.0/UDP 192.0.2.9;branch=1"},
		"name":         {"SIP/2.0/TCP h", "192.0.2.9:1", "SIP/2.0/TCP h;received=192.0.2.9"},
		"IPv6":         {"SIP/2.0/TLS [2001:db8::1]:5061", "[2001:db8:0::1]:9", "SIP/2.0/TLS [2001:db8::1]:5061"},
		"forged": {
			"SIP/2.0/UDP h;received=203.0.113.1;rport=1;branch=b", "192.0.2.9:4711",
			"SIP/2.0/UDP h;rport=4711;branch=b;received=192.0.2.9",
		},
		"two in a line": {
			"SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2", "192.0.2.9:1",
			"SIP/2.0/UDP a;branch=1;received=192.0.2.9, SIP/2.0/UDP b;branch=2",
		},
	} {
		var m wire.Message
		raw := "OPTIONS sip:x SIP/2.0\r\nVia: " + c.via + "\r\nv: SIP/2.0/TCP last\r\nt: <sip:c@d>\r\n" +
			"f: <sip:a@b>;tag=1\r\ni: x@y\r\nCSeq: 0007 OPTIONS\r\n\r\n"
		if err := m.Scan([]byte(raw), wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		got := sip.AppendResponse(nil, &m, addr(c.src), 486, "", "tag")
		got = sip.AppendHeader(got, "X", "a\r\nEvil: b\x00")
		want := "SIP/2.0 486 Busy Here\r\nVia: " + c.want + "\r\nVia: SIP/2.0/TCP last\r\nFrom: <sip:a@b>;tag=1\r\n" +
			"To: <sip:c@d>;tag=tag\r\nCall-ID: x@y\r\nCSeq: 7 OPTIONS\r\nX: a  Evil: b \r\nContent-Length: 2\r\n\r\nhi"
		if string(sip.AppendEnd(got, []byte("hi"))) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// No byte of a value ends its line, wherever it stands and whatever stands beside it.
func TestValuesStayOnTheirLine(t *testing.T) {
	for size := 1; size < 20; size++ {
		for at := range size {
			for c := range 256 {
				for _, beside := range []byte{'a', 0x80, 0xff, ' ', '\t'} {
					value := bytes.Repeat([]byte{beside}, size)
					value[at] = byte(c)
					want := "X: " + strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(string(value)) + "\r\n"
					if got := string(sip.AppendHeader(nil, "X", value)); got != want {
						t.Fatalf("%q became %q", value, got)
					}
				}
			}
		}
	}
}

func TestResponseKeepsTheTag(t *testing.T) {
	m := parse(t, "OPTIONS", "z9hG4bK1")
	m.To = []byte("<sip:c@d;tag=no> ; TAG=yes")
	if got := string(sip.AppendFrame(nil, m, addr("192.0.2.9:1"), "new")); strings.Contains(got, "new") {
		t.Errorf("second tag in\n%s", got)
	}
	m = parse(t, "OPTIONS", "z9hG4bK1")
	m.To = []byte("<sip:c@d;tag=no>")
	if got := string(sip.AppendFrame(nil, m, addr("192.0.2.9:1"), "new")); !strings.Contains(got, "no>;tag=new\r\n") {
		t.Errorf("no tag in\n%s", got)
	}
}

func TestTag(t *testing.T) {
	seed, other := maphash.MakeSeed(), maphash.MakeSeed()
	a, b := parse(t, "OPTIONS", "z9hG4bK1"), parse(t, "OPTIONS", "z9hG4bK2")
	tag := sip.Tag(seed, a)
	if tag != sip.Tag(seed, a) || tag == sip.Tag(seed, b) || tag == sip.Tag(other, a) {
		t.Error("a tag must follow from the request and the seed alone")
	}
}
