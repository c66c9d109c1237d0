package wire_test

import (
	"testing"

	"demarc/telephony/wire"
)

// BenchmarkParts reads in a REGISTER what it is answered by.
func BenchmarkParts(b *testing.B) {
	raw := []byte("REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1000001\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:100000@example.com>;tag=t1\r\nTo: <sip:100000@example.com>\r\nCall-ID: 7-100000\r\n" +
		"CSeq: 1 REGISTER\r\nContact: <sip:100000@192.0.2.1:5060>\r\nExpires: 600\r\nUser-Agent: bench\r\n" +
		`Authorization: Digest username="100000", realm="example.com", nonce="0123456789abcdef0123456789abcdef0123456789a", ` +
		`uri="sip:example.com", response="0123456789abcdef0123456789abcdef", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001` +
		"\r\nContent-Length: 0\r\n\r\n")
	var m wire.Message
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Scan(raw, wire.Limits{}); err != nil {
			b.Fatal(err)
		}
		m.URI()
		m.TopVia()
		m.FromAddr()
		m.ToAoR()
		wire.ParseNameAddr(m.Contacts[0])
	}
}
