package media_test

import (
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/sdp"
)

// phone is a peer whose RTP, RTCP and SRTP are another implementation's.
type phone struct {
	t              *testing.T
	id             telephony.MediaID
	media, control *net.UDPConn
	local          sdp.Local // of the leg it talks to
	key            sdp.Key   // its own
	seal, open     *srtp.Context
	as             sdp.Stream
	ssrc           uint32
	sequence       uint16
	stamp          uint32
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func profile(t *testing.T, suite string) (p srtp.ProtectionProfile, key, salt int) {
	t.Helper()
	switch suite {
	case "AEAD_AES_256_GCM":
		return srtp.ProtectionProfileAeadAes256Gcm, 32, 12
	case "AES_256_CM_HMAC_SHA1_80":
		return srtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14
	case "AES_CM_128_HMAC_SHA1_80":
		return srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14
	case "AES_CM_128_HMAC_SHA1_32":
		return srtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14
	}
	t.Fatalf("no suite %q", suite)
	return 0, 0, 0
}

func protection(t *testing.T, k sdp.Key) *srtp.Context {
	t.Helper()
	p, n, m := profile(t, k.Suite)
	raw, err := base64.StdEncoding.DecodeString(k.Key.Reveal())
	if err != nil || len(raw) != n+m {
		t.Fatalf("key of %s: %d bytes, %v", k.Suite, len(raw), err)
	}
	c, err := srtp.CreateContext(raw[:n], raw[n:], p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// someKey is a fixed key of a suite; n makes it another one.
func someKey(t *testing.T, suite string, n byte) sdp.Key {
	t.Helper()
	_, key, salt := profile(t, suite)
	raw := make([]byte, key+salt)
	for i := range raw {
		raw[i] = n + byte(i)*7
	}
	return sdp.Key{Tag: 1, Suite: suite, Key: account.Secret(base64.StdEncoding.EncodeToString(raw))}
}

// setting is how a phone's call is set up.
type setting struct {
	suite           string // empty: plain
	mux             bool
	payload         uint8
	codec           string // empty: PCMU
	digits          uint8
	direction       sdp.Direction
	told, signalled netip.Addr // zero: the truth
}

// call opens a leg and agrees on it.
func (f *fixture) call(s setting) *phone {
	f.t.Helper()
	f.next++
	p := &phone{t: f.t, id: f.next, media: listenUDP(f.t), control: listenUDP(f.t), ssrc: 0x1000 * uint32(f.next), sequence: 65500, stamp: 7}
	var err error
	p.local, err = f.media.Open(telephony.MediaOpening{ID: p.id, Listener: "udp", Peer: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		f.t.Fatal(err)
	}
	f.agree(p, s)
	return p
}

func (f *fixture) agree(p *phone, s setting) {
	f.t.Helper()
	if err := f.media.Agree(p.id, p.agreed(s)); err != nil {
		f.t.Fatal(err)
	}
}

func (p *phone) agreed(s setting) sdp.Agreed {
	remote, control := addrOf(p.media), addrOf(p.control)
	if s.told.IsValid() {
		remote, control = netip.AddrPortFrom(s.told, remote.Port()), netip.AddrPortFrom(s.told, control.Port())
	}
	if s.mux {
		control = remote
	}
	if s.direction == "" {
		s.direction = sdp.SendRecv
	}
	if !s.signalled.IsValid() {
		s.signalled = netip.MustParseAddr("127.0.0.1")
	}
	if s.codec == "" {
		s.codec = "PCMU"
	}
	p.as = sdp.Stream{
		Remote: remote, RemoteRTCP: control, Mux: s.mux, Direction: s.direction, Codec: sdp.Codec{Payload: s.payload, Name: s.codec, Rate: 8000},
		Send: s.payload, Receive: s.payload, DTMFSend: s.digits, DTMFRecv: s.digits,
	}
	a := sdp.Agreed{Security: sdp.Plain, Signalled: s.signalled}
	if s.suite != "" {
		a.Security = sdp.SDES
		p.secure(s.suite)
	}
	a.Audio = p.as
	return a
}

func (p *phone) secure(suite string) {
	p.key = someKey(p.t, suite, byte(p.id))
	p.as.RemoteKey = p.key
	for _, k := range p.local.Audio.Keys {
		if k.Suite == suite {
			p.as.LocalKey = k
		}
	}
	if p.seal == nil {
		p.seal, p.open = protection(p.t, p.key), protection(p.t, p.as.LocalKey)
	}
}

func (p *phone) there() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.local.Audio.RTP)
}

// say sends one packet.
func (p *phone) say(payloadType uint8, payload []byte) {
	p.t.Helper()
	p.sequence++
	p.stamp += 160
	p.send(p.media, p.packet(payloadType, payload))
}

func (p *phone) packet(payloadType uint8, payload []byte) []byte {
	p.t.Helper()
	header := rtp.Header{Version: 2, PayloadType: payloadType, SequenceNumber: p.sequence, Timestamp: p.stamp, SSRC: p.ssrc}
	b, err := (&rtp.Packet{Header: header, Payload: payload}).Marshal()
	if err == nil && p.seal != nil {
		b, err = p.seal.EncryptRTP(nil, b, nil)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *phone) send(from *net.UDPConn, b []byte) {
	p.t.Helper()
	if _, err := from.WriteToUDPAddrPort(b, p.there()); err != nil {
		p.t.Fatal(err)
	}
}

// report sends RTCP.
func (p *phone) report(packets ...rtcp.Packet) {
	p.t.Helper()
	b, err := rtcp.Marshal(packets)
	if err == nil && p.seal != nil {
		b, err = p.seal.EncryptRTCP(nil, b, nil)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	from, to := p.control, netip.AddrPortFrom(p.there().Addr(), p.local.Audio.RTCP)
	if p.as.Mux {
		from, to = p.media, p.there()
	}
	if _, err := from.WriteToUDPAddrPort(b, to); err != nil {
		p.t.Fatal(err)
	}
}

const patience = 10 * time.Second

// hear waits for the next RTP packet.
func (p *phone) hear() *rtp.Packet {
	p.t.Helper()
	for {
		b := p.read(p.media, patience)
		if b[1] >= 192 && b[1] <= 223 {
			continue // RTCP, multiplexed
		}
		if p.open != nil {
			var err error
			if b, err = p.open.DecryptRTP(nil, b, nil); err != nil {
				p.t.Fatalf("phone %d cannot decrypt: %v", p.id, err)
			}
		}
		packet := &rtp.Packet{}
		if err := packet.Unmarshal(b); err != nil {
			p.t.Fatal(err)
		}
		return packet
	}
}

// hearReports waits for the next compound RTCP packet.
func (p *phone) hearReports() []rtcp.Packet {
	p.t.Helper()
	from := p.control
	if p.as.Mux {
		from = p.media
	}
	for {
		b := p.read(from, patience)
		if b[1] < 192 || b[1] > 223 {
			continue
		}
		var err error
		if p.open != nil {
			if b, err = p.open.DecryptRTCP(nil, b, nil); err != nil {
				p.t.Fatalf("phone %d cannot decrypt RTCP: %v", p.id, err)
			}
		}
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			p.t.Fatal(err)
		}
		return packets
	}
}

func (p *phone) read(from *net.UDPConn, wait time.Duration) []byte {
	p.t.Helper()
	b := make([]byte, 2048)
	if err := from.SetReadDeadline(time.Now().Add(wait)); err != nil {
		p.t.Fatal(err)
	}
	n, _, err := from.ReadFromUDPAddrPort(b)
	if err != nil {
		p.t.Fatalf("phone %d heard nothing: %v", p.id, err)
	}
	return b[:n]
}

// queued counts what has arrived at a socket and was not read.
func queued(t *testing.T, c *net.UDPConn) int {
	t.Helper()
	b := make([]byte, 2048)
	for n := 0; ; n++ {
		if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFromUDPAddrPort(b); errors.Is(err, os.ErrDeadlineExceeded) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
