package rtp_test

import (
	"net/netip"
	"testing"
	"time"

	"demarc/telephony/rtp"
)

// FuzzDatagram gives whatever comes to a port to everything that reads it.
func FuzzDatagram(f *testing.F) {
	lite := &rtp.Lite{Now: rtp.Credentials{Ufrag: "ours", Pwd: "secret"}, Former: rtp.Credentials{Ufrag: "once", Pwd: "secret too"}}
	from := netip.MustParseAddrPort("192.0.2.1:5")
	f.Add([]byte(rtp.Append(nil, 101, true, []byte{1, 0x8a, 1, 0})))
	f.Add(rtp.AppendName(rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 1}, rtp.Block{SSRC: 2}), 1, "name"))
	f.Add([]byte{0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 0, 1})
	f.Add([]byte{0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 9, 'o', 'u', 'r', 's', ':', 't', 'h', 'e', 'm', 0, 0, 0})
	protections := make([]*rtp.Unprotection, 0, 4)
	for _, k := range rtp.NewKeys() {
		u, err := rtp.NewUnprotection(k)
		if err != nil {
			f.Fatal(err)
		}
		protections = append(protections, u)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := rtp.Read(b); ok {
			var source rtp.Source
			var events rtp.Events
			sender := rtp.NewSender(true)
			number, _ := source.Count(p, time.Second, 8000)
			events.Read(p.Payload(), p.Timestamp(), time.Second)
			if !sender.Forward(append(rtp.Packet(nil), p...), &source, number, time.Second, 8000) {
				t.Error("a first packet is not sent on")
			}
		}
		rtp.ReadRTCP(b, &feedback{t})
		if _, _, ok := lite.Answer(nil, b, from); ok {
			t.Error("who does not know the password was answered")
		}
		for _, u := range protections {
			if _, err := u.RTP(append([]byte(nil), b...)); err == nil {
				t.Error("forged RTP is let in")
			}
			if _, err := u.RTCP(append([]byte(nil), b...)); err == nil {
				t.Error("forged RTCP is let in")
			}
		}
	})
}

type feedback struct{ t *testing.T }

func (f *feedback) SenderReport(rtp.SenderReport) {}
func (f *feedback) Block(rtp.Block)               {}
func (f *feedback) Feedback(b []byte) {
	out, ok := rtp.AppendFeedback(nil, b, 1, 2, func(n uint16) uint16 { return n - 5 })
	if ok && len(out) != len(b) {
		f.t.Errorf("feedback of %d bytes crosses as %d", len(b), len(out))
	}
}
