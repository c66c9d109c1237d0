package media_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"demarc/telephony"
)

// A phone with DTLS that does not multiplex has a handshake of its own for RTCP, and other keys by it (RFC 5764 §3). One that has none speaks by
// those of RTP.
func TestReportsMayHaveAHandshakeOfTheirOwn(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		passive, alone := n&1 != 0, n&2 != 0
		t.Run(fmt.Sprintf("passive=%t alone=%t", passive, alone), func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
			defer cancel()
			b := f.browser(false)
			c := b.dialReports()
			b.passive, b.apart = passive, addrOf(c)
			reports := *b
			reports.conn, reports.dtls, reports.media = c, make(chan []byte, 100), make(chan []byte, 100)
			reports.receive()
			b.join(ctx, f)
			if err := b.secure(ctx, f); err != nil {
				t.Fatal(err)
			}
			reports.seal, reports.open = b.seal, b.open
			if !alone {
				if err := reports.secure(ctx, f); err != nil {
					t.Fatal(err)
				}
			}
			wait(t, "our side has the keys too", func() bool { return f.media.Report(b.id).Suite != "" })
			p := f.call(setting{payload: 96, digits: 101})
			f.media.Relay(b.id, p.id)
			b.sounds(p, "by its own keys")
			source := reports.reportOn(77)
			wait(t, "what it reports is heard", func() bool {
				reports.report(&rtcp.ReceiverReport{SSRC: 77, Reports: []rtcp.ReceptionReport{{SSRC: source, TotalLost: 5}}})
				return f.media.Report(b.id).LostThere == 5
			})
			if told := f.told(telephony.SecurityFailed); len(told) != 0 {
				t.Errorf("told %+v", told)
			}
		})
	}
}

// reportOn waits for a report on a source, and returns whose that is. Those from before the keys were there on our side are by others.
func (b *browser) reportOn(source uint32) uint32 {
	b.t.Helper()
	for end := time.After(patience); ; {
		select {
		case sealed := <-b.media:
			plain, err := b.open.DecryptRTCP(nil, sealed, nil)
			if err != nil {
				continue
			}
			packets, err := rtcp.Unmarshal(plain)
			if err != nil {
				b.t.Fatal(err)
			}
			if sr, ok := packets[0].(*rtcp.SenderReport); ok && len(sr.Reports) == 1 && sr.Reports[0].SSRC == source {
				return sr.SSRC
			}
		case <-end:
			b.t.Fatal("no report comes")
		}
	}
}

// report sends RTCP.
func (b *browser) report(packets ...rtcp.Packet) {
	b.t.Helper()
	plain, err := rtcp.Marshal(packets)
	if err != nil {
		b.t.Fatal(err)
	}
	sealed, err := b.seal.EncryptRTCP(nil, plain, nil)
	if err == nil {
		_, err = b.conn.Write(sealed)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// dialReports returns a socket of the phone for RTCP alone.
func (b *browser) dialReports() *net.UDPConn {
	b.t.Helper()
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(b.local.Audio.RTCP)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// A handshake of RTCP that fails costs reports, and no call: certificates are held against the same fingerprints.
func TestAStrangersHandshakeOfReportsIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	b := f.browser(false)
	c := b.dialReports()
	b.apart = addrOf(c)
	stranger := *b
	stranger.certificate = selfSigned(t)
	stranger.conn, stranger.dtls, stranger.media = c, make(chan []byte, 100), make(chan []byte, 100)
	stranger.receive()
	b.join(ctx, f)
	if err := b.secure(ctx, f); err != nil {
		t.Fatal(err)
	}
	wait(t, "our side has the keys too", func() bool { return f.media.Report(b.id).Suite != "" })
	if err := stranger.secure(ctx, f); err == nil {
		t.Error("a stranger's certificate is taken")
	}
	p := f.call(setting{payload: 96, digits: 101})
	f.media.Relay(b.id, p.id)
	b.sounds(p, "all the same")
	if told := f.told(telephony.SecurityFailed); len(told) != 0 {
		t.Errorf("told %+v", told)
	}
}
