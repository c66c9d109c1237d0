package media_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/media"
	"demarc/telephony/sdp"
)

// browser is a peer whose ICE (a full agent), DTLS and SRTP are another implementation's.
type browser struct {
	t           *testing.T
	id          telephony.MediaID
	local       sdp.Local
	certificate tls.Certificate
	agent       *ice.Agent // nil: it has no ICE
	conn        net.Conn
	dtls, media chan []byte
	seal, open  *srtp.Context
	sequence    uint16
	apart       netip.AddrPort // of its RTCP, where it does not multiplex
	passive     bool           // we are to begin the handshake

	node    *media.Media
	answers chan []byte // to its checks, where the test sends those
	theirs  string      // ICE without an agent: its name, and ours
	ours    names
}

func (f *fixture) browser(withICE bool) *browser {
	f.t.Helper()
	f.next++
	b := &browser{
		t: f.t, node: f.media, id: f.next, certificate: selfSigned(f.t), dtls: make(chan []byte, 100), media: make(chan []byte, 100), sequence: 9,
	}
	var err error
	if b.local, err = f.media.Open(telephony.MediaOpening{ID: b.id, Listener: "wss", Peer: netip.MustParseAddr("127.0.0.1")}); err != nil {
		f.t.Fatal(err)
	}
	if withICE {
		b.agent, err = ice.NewAgentWithOptions(ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
			ice.WithIncludeLoopback(), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
			ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}))
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { _ = b.agent.Close() })
	}
	return b
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func fingerprintOf(der []byte) sdp.Fingerprint {
	sum := sha256.Sum256(der)
	return sdp.Fingerprint{Hash: "SHA-256", Value: strings.ReplaceAll(strings.ToLower(fmt.Sprintf("% x", sum[:])), " ", ":")}
}

// agree agrees on DTLS with the fingerprint of a certificate.
func (b *browser) agree(f *fixture, certificate []byte, remote netip.AddrPort) {
	b.t.Helper()
	s := sdp.Stream{
		Remote: remote, RemoteRTCP: remote, Mux: true, Direction: sdp.SendRecv,
		Codec: sdp.Codec{Payload: 111, Name: "opus", Rate: 48000, Channels: 2}, Send: 111, Receive: 111, DTMFSend: 126, DTMFRecv: 126,
		Protection: sdp.Protection{Fingerprints: []sdp.Fingerprint{fingerprintOf(certificate)}, Active: b.passive},
	}
	if b.apart.IsValid() {
		s.Mux, s.RemoteRTCP = false, b.apart
	}
	if b.agent != nil {
		ufrag, pwd, err := b.agent.GetLocalUserCredentials()
		if err != nil {
			b.t.Fatal(err)
		}
		s.RemoteUfrag, s.RemotePwd = ufrag, account.Secret(pwd)
		s.LocalUfrag, s.LocalPwd = b.local.Audio.Ufrag, b.local.Audio.Pwd
	}
	if b.theirs != "" {
		s.RemoteUfrag, s.RemotePwd, s.LocalUfrag, s.LocalPwd = b.theirs, "theirs", b.ours.ufrag, b.ours.pwd
	}
	if err := f.media.Agree(b.id, sdp.Agreed{Security: sdp.DTLS, Audio: s, Signalled: netip.MustParseAddr("127.0.0.1")}); err != nil {
		b.t.Fatal(err)
	}
}

// connect runs the checks of ICE.
func (b *browser) connect(ctx context.Context) {
	b.t.Helper()
	found := make(chan struct{}, 10)
	err := b.agent.OnCandidate(func(ice.Candidate) {
		select {
		case found <- struct{}{}:
		default:
		}
	})
	if err == nil {
		err = b.agent.GatherCandidates()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	<-found
	there, err := ice.NewCandidateHost(&ice.CandidateHostConfig{
		Network: "udp", Address: "127.0.0.1", Port: int(b.local.Audio.RTP), Component: 1,
	})
	if err == nil {
		err = b.agent.AddRemoteCandidate(there)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if b.conn, err = b.agent.Dial(ctx, b.local.Audio.Ufrag, b.local.Audio.Pwd.Reveal()); err != nil {
		b.t.Fatalf("ICE: %v", err)
	}
	b.receive()
}

// receive sorts what comes (RFC 7983).
func (b *browser) receive() {
	conn, secure, sound, answers := b.conn, b.dtls, b.media, b.answers
	go func() {
		defer close(secure)
		defer close(sound)
		for {
			packet := make([]byte, 2048)
			n, err := conn.Read(packet)
			if err != nil {
				return
			}
			to := sound
			switch {
			case packet[0] < 4:
				to = answers
			case packet[0] >= 20 && packet[0] < 64:
				to = secure
			}
			select {
			case to <- packet[:n]:
			default:
			}
		}
	}()
}

// secure does the handshake.
func (b *browser) secure(ctx context.Context, f *fixture) error {
	roots := x509.NewCertPool()
	ours, err := x509.ParseCertificate(f.media.Certificate())
	if err != nil {
		b.t.Fatal(err)
	}
	roots.AddCert(ours)
	if want := fingerprintOf(ours.Raw); !strings.EqualFold(want.Value, b.local.Fingerprint.Value) {
		b.t.Fatalf("the SDP says %s, the certificate has %s", b.local.Fingerprint.Value, want.Value)
	}
	profiles := dtls.WithSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AEAD_AES_128_GCM)
	var conn *dtls.Conn
	over := &overMedia{b.conn, b.dtls}
	if b.passive {
		conn, err = dtls.ServerWithOptions(over, &net.UDPAddr{}, dtls.WithCertificates(b.certificate), profiles,
			dtls.WithClientAuth(dtls.RequireAndVerifyClientCert), dtls.WithClientCAs(roots), dtls.WithFlightInterval(100*time.Millisecond))
	} else {
		conn, err = dtls.ClientWithOptions(over, &net.UDPAddr{}, dtls.WithCertificates(b.certificate), profiles,
			dtls.WithRootCAs(roots), dtls.WithFlightInterval(100*time.Millisecond))
	}
	if err != nil {
		return err
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return errors.New("no state")
	}
	chosen, _ := conn.SelectedSRTPProtectionProfile()
	c := srtp.Config{Profile: srtp.ProtectionProfile(chosen)}
	if err := c.ExtractSessionKeysFromDTLS(&state, !b.passive); err != nil {
		return err
	}
	if b.seal, err = srtp.CreateContext(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt, c.Profile); err != nil {
		return err
	}
	b.open, err = srtp.CreateContext(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt, c.Profile)
	return err
}

// overMedia is the browser's DTLS as a net.PacketConn.
type overMedia struct {
	conn net.Conn
	dtls chan []byte
}

func (o *overMedia) ReadFrom(p []byte) (int, net.Addr, error) {
	b, ok := <-o.dtls
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return copy(p, b), &net.UDPAddr{}, nil
}
func (o *overMedia) WriteTo(p []byte, _ net.Addr) (int, error) { return o.conn.Write(p) }
func (o *overMedia) Close() error                              { return o.conn.Close() }
func (o *overMedia) LocalAddr() net.Addr                       { return &net.UDPAddr{} }
func (o *overMedia) SetDeadline(time.Time) error               { return nil }
func (o *overMedia) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && time.Until(t) <= 0 {
		return o.conn.Close()
	}
	return nil
}
func (o *overMedia) SetWriteDeadline(time.Time) error { return nil }

func (b *browser) say(payload []byte) {
	b.t.Helper()
	b.sequence++
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: b.sequence, Timestamp: 960 * uint32(b.sequence), SSRC: 77}, Payload: payload}
	plain, err := p.Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	sealed, err := b.seal.EncryptRTP(nil, plain, nil)
	if err == nil {
		_, err = b.conn.Write(sealed)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// hear waits for the next packet, which is RTP or RTCP.
func (b *browser) hear() (*rtp.Packet, []rtcp.Packet) {
	b.t.Helper()
	select {
	case sealed, ok := <-b.media:
		if !ok {
			b.t.Fatal("the browser's connection has ended")
		}
		if sealed[1] >= 192 && sealed[1] <= 223 {
			plain, err := b.open.DecryptRTCP(nil, sealed, nil)
			if err != nil {
				b.t.Fatal(err)
			}
			packets, err := rtcp.Unmarshal(plain)
			if err != nil {
				b.t.Fatal(err)
			}
			return nil, packets
		}
		plain, err := b.open.DecryptRTP(nil, sealed, nil)
		if err != nil {
			b.t.Fatal(err)
		}
		p := &rtp.Packet{}
		if err := p.Unmarshal(plain); err != nil {
			b.t.Fatal(err)
		}
		return p, nil
	case <-time.After(patience):
		b.t.Fatal("the browser hears nothing")
	}
	return nil, nil
}

func TestABrowserTalksToEveryKindOfPhone(t *testing.T) {
	t.Parallel()
	for _, suite := range suites() {
		for n := range 4 {
			withICE, passive := n&1 == 0, n&2 != 0
			t.Run(fmt.Sprintf("%s ice=%t passive=%t", suite, withICE, passive), func(t *testing.T) {
				t.Parallel()
				f := start(t, nil)
				ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
				defer cancel()
				b := f.browser(withICE)
				b.passive = passive
				b.join(ctx, f)
				p := f.call(setting{suite: suite, payload: 96, digits: 101})
				f.media.Relay(b.id, p.id)
				if err := b.secure(ctx, f); err != nil {
					t.Fatal(err)
				}
				wait(t, "our side has the keys too", func() bool { return f.media.Report(b.id).Suite != "" })
				talk(t, b, p)
				if r := f.media.Report(b.id); r.Security != "dtls" || r.Suite != map[bool]string{false: "AEAD_AES_128_GCM", true: "AES128_CM_HMAC_SHA1_80"}[passive] || r.Codec != "opus/48000/2" {
					t.Errorf("report %+v", r)
				}
				if before, r := f.media.Report(b.id), f.media.Close(b.id); r.Suite != before.Suite {
					t.Errorf("at the end the suite is %q, and was %q: history would not know it", r.Suite, before.Suite)
				}
			})
		}
	}
}

// join agrees and connects.
func (b *browser) join(ctx context.Context, f *fixture) {
	b.t.Helper()
	if b.agent != nil {
		b.agree(f, b.certificate.Certificate[0], netip.MustParseAddrPort("192.0.2.1:9"))
		b.connect(ctx)
		return
	}
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(b.local.Audio.RTP)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.conn = c
	b.t.Cleanup(func() { _ = c.Close() })
	b.receive()
	b.agree(f, b.certificate.Certificate[0], addrOf(c))
}

func talk(t *testing.T, b *browser, p *phone) {
	t.Helper()
	for n := range 20 {
		said := fmt.Appendf(nil, "packet %d", n)
		b.say(said)
		if heard := p.hear(); !bytes.Equal(heard.Payload, said) || heard.PayloadType != 96 {
			t.Fatalf("the phone hears %q", heard.Payload)
		}
		p.say(96, said)
		heard, _ := b.hear()
		for heard == nil {
			heard, _ = b.hear()
		}
		if !bytes.Equal(heard.Payload, said) || heard.PayloadType != 111 {
			t.Fatalf("the browser hears %q", heard.Payload)
		}
	}
	for reported := false; !reported; {
		_, packets := b.hear()
		for _, r := range packets {
			sr, ok := r.(*rtcp.SenderReport)
			reported = reported || ok && len(sr.Reports) == 1 && sr.Reports[0].SSRC == 77
		}
	}
}

func TestACertificateThatTheSDPDoesNotNameIsRefused(t *testing.T) {
	t.Parallel()
	for _, passive := range []bool{false, true} {
		t.Run(fmt.Sprintf("passive=%t", passive), func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
			defer cancel()
			b := f.browser(true)
			b.passive = passive
			b.agree(f, selfSigned(t).Certificate[0], netip.MustParseAddrPort("192.0.2.1:9"))
			b.connect(ctx)
			if err := b.secure(ctx, f); err == nil {
				t.Fatal("a stranger's certificate is taken")
			}
			wait(t, "it is told", func() bool { return len(f.told(telephony.SecurityFailed)) > 0 })
			if e := f.told(telephony.SecurityFailed)[0]; e.ID != b.id || !strings.Contains(e.Text, "not the one of its SDP") {
				t.Errorf("told %+v", e)
			}
		})
	}
}

// TestAHandshakeOfOursIsBegunAgain has a phone that waits for it come late: the first ones meet nobody, or nonsense.
func TestAHandshakeOfOursIsBegunAgain(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	b := f.browser(false)
	b.passive = true
	b.join(ctx, f)
	hello := <-b.dtls
	alert := append([]byte{21}, hello[1:11]...) // a fatal one, as anybody can forge it before there are keys
	if _, err := b.conn.Write(append(alert, 0, 2, 2, 40)); err != nil {
		t.Fatal(err)
	}
	if err := b.secure(ctx, f); err != nil {
		t.Fatal(err)
	}
	wait(t, "our side has the keys too", func() bool { return f.media.Report(b.id).Suite != "" })
	if told := f.told(telephony.SecurityFailed); len(told) != 0 {
		t.Errorf("told %+v", told)
	}
}

func TestStrangersGetNoWordOfICEOrDTLS(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	b := f.browser(true)
	b.agree(f, b.certificate.Certificate[0], netip.MustParseAddrPort("192.0.2.1:9"))
	stranger := listenUDP(t)
	for _, datagram := range [][]byte{
		{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, // a bare binding request
		append([]byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 1}, make([]byte, 99)...),
	} {
		if _, err := stranger.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.local.Audio.RTP)); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "both are refused", func() bool { return f.media.Report(b.id).Refused == 2 })
	if n := queued(t, stranger); n != 0 {
		t.Errorf("the stranger got %d answers", n)
	}
}
