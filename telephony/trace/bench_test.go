package trace_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/trace"
)

const anInvite = "INVITE sip:2001@192.0.2.7:5060;transport=udp SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0f3a6d2c9b1e4875;rport\r\nMax-Forwards: 69\r\n" +
	"From: \"Alice Example\" <sip:1001@pbx.test>;tag=8d1f0c2a7b6e\r\nTo: <sip:2001@pbx.test>\r\n" +
	"Call-ID: 5b8a0d1c2e3f49768a9bacbdcedfe0f1\r\nCSeq: 1 INVITE\r\nContact: <sip:5f0a1b2c3d4e@192.0.2.1:5060>\r\n" +
	"Allow: INVITE, ACK, CANCEL, BYE, UPDATE, INFO, PRACK, REFER, NOTIFY, OPTIONS\r\nSupported: replaces, timer, 100rel\r\n" +
	"Session-Expires: 1800\r\nMin-SE: 90\r\nContent-Type: application/sdp\r\nContent-Length: 190\r\n\r\n" +
	"v=0\r\no=- 3914 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 9 0 8 101\r\n" +
	"a=rtcp:20001\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"

// BenchmarkRecord remembers messages of more phones than there is room for.
func BenchmarkRecord(b *testing.B) {
	headers := bytes.Repeat([]byte("Header-Name: some value that is long enough\r\n"), 10)
	signed := append([]byte(`Authorization: Digest username="1001", realm="pbx.test", nonce="0123456789abcdef0123456789abcdef", `+
		`uri="sip:pbx.test", response="0123456789abcdef0123456789abcdef", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001`+"\r\n"),
		headers...)
	for name, m := range map[string]trace.Message{"plain": {Text: headers, Plain: true}, "signed": {Text: signed}} {
		b.Run(name, func(b *testing.B) {
			r := trace.NewRecorder(32 << 20)
			phones := make([]telephony.AoR, 100_000)
			for i := range phones {
				phones[i] = telephony.NewAoR(fmt.Sprint(100_000+i), "pbx.test")
			}
			m.Known, m.Transport = true, telephony.UDP
			m.Local, m.Remote = netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:40000")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.AoR = phones[i/4%len(phones)]
				r.Record(m)
			}
		})
	}
}

// BenchmarkRecordOfCalls remembers messages of phones that have all that a phone may have, each of which forgets one.
func BenchmarkRecordOfCalls(b *testing.B) {
	const phones = 1000
	r := trace.NewRecorder(64 << 20)
	known := make([]trace.Message, phones)
	for i := range known {
		known[i] = trace.Message{At: time.Unix(1, 0), AoR: telephony.NewAoR(strconv.Itoa(1000+i), "pbx.test"), Known: true, Transport: telephony.UDP,
			Local: netip.MustParseAddrPort("192.0.2.1:5060"), Remote: netip.MustParseAddrPort("192.0.2.7:5060"), Text: []byte(anInvite)}
	}
	for range 70 { // so many that each has to forget one
		for i := range known {
			r.Record(known[i])
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		r.Record(known[i%phones])
	}
}

// BenchmarkRedact looks for secrets where there are none, as in most messages.
func BenchmarkRedact(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		trace.Redact([]byte(anInvite))
	}
}
