package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	pionrtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"demarc/telephony/sdp"
)

// ErrNotAuthentic tells that a packet was not protected with the key, was repeated, or was cut short.
var ErrNotAuthentic = errors.New("not an authentic packet")

// maxSources is how many SSRCs one key may bring, of RTP and of RTCP each: even who holds the key costs no more memory.
const maxSources = 64

// window is how late a packet may be, in packets (RFC 3711 §3.3.2 asks for 64 at least).
const window = 64

// master is a key from which a context is made with the first packet: many are agreed on and never used, as when nobody has spoken
// before a call ends or its keys change.
type master struct {
	profile   srtp.ProtectionProfile
	key, salt []byte
	options   []srtp.ContextOption
	made      *srtp.Context
}

func newMaster(profile srtp.ProtectionProfile, key, salt []byte, options ...srtp.ContextOption) (master, error) {
	keySize, err := profile.KeyLen()
	if err != nil {
		return master{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	saltSize, err := profile.SaltLen()
	if err != nil || len(key) != keySize || len(salt) != saltSize {
		return master{}, fmt.Errorf("%w: its length is not that of the suite", ErrKey)
	}
	return master{profile: profile, key: key, salt: salt, options: options}, nil
}

func (m *master) context() (*srtp.Context, error) {
	if m.made == nil {
		made, err := srtp.CreateContext(m.key, m.salt, m.profile, m.options...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		*m = master{made: made}
	}
	return m.made, nil
}

// Protection protects what is sent with one key.
type Protection struct {
	master
	header pionrtp.Header
}

// Overhead is by how much a protected packet is longer at most, in bytes.
const Overhead = 20

// NewProtection returns the protection by an SDES key.
func NewProtection(k sdp.Key) (*Protection, error) {
	s, key, salt, err := masterOf(k)
	if err != nil {
		return nil, err
	}
	return newProtection(s.profile, key, salt)
}

func newProtection(profile srtp.ProtectionProfile, key, salt []byte) (*Protection, error) {
	m, err := newMaster(profile, key, salt)
	if err != nil {
		return nil, err
	}
	return &Protection{master: m}, nil
}

// RTP protects a packet into dst, whose capacity must be that of the packet and Overhead for it not to allocate.
func (p *Protection) RTP(dst []byte, packet Packet) ([]byte, error) {
	c, err := p.context()
	if err != nil {
		return nil, err
	}
	return c.EncryptRTP(dst, packet, &p.header)
}

// RTCP protects a compound packet into dst.
func (p *Protection) RTCP(dst, packet []byte) ([]byte, error) {
	c, err := p.context()
	if err != nil {
		return nil, err
	}
	return c.EncryptRTCP(dst, packet, nil)
}

// noRepeats has a context refuse what came before.
var noRepeats = []srtp.ContextOption{srtp.SRTPReplayProtection(window), srtp.SRTCPReplayProtection(window)}

// Unprotection checks what comes in against one key, refuses repeats, and decrypts.
type Unprotection struct {
	master
	header    pionrtp.Header
	rtp, rtcp sources
	former    *turns // nil: none, or it is known how the phone counts on
}

// turns is how often the sequence numbers of a source had come round (its ROC, RFC 3711 §3.3.1) under the key before.
type turns struct{ ssrc, count uint32 }

// sources are the SSRCs that have sent something authentic.
type sources struct {
	last  uint32
	known map[uint32]struct{}
}

func (s *sources) full(ssrc uint32) bool {
	if len(s.known) < maxSources || ssrc == s.last {
		return false
	}
	_, ok := s.known[ssrc]
	return !ok
}

func (s *sources) add(ssrc uint32) {
	if ssrc == s.last && len(s.known) > 0 {
		return
	}
	if s.known == nil {
		s.known = map[uint32]struct{}{}
	}
	s.last = ssrc
	s.known[ssrc] = struct{}{}
}

// NewUnprotection returns the unprotection by an SDES key.
func NewUnprotection(k sdp.Key) (*Unprotection, error) {
	s, key, salt, err := masterOf(k)
	if err != nil {
		return nil, err
	}
	return newUnprotection(s.profile, key, salt, identifierOf(k))
}

func newUnprotection(profile srtp.ProtectionProfile, key, salt, identifier []byte) (*Unprotection, error) {
	options := noRepeats
	if len(identifier) > 0 {
		options = append(slices.Clip(options), srtp.MasterKeyIndicator(identifier))
	}
	m, err := newMaster(profile, key, salt, options...)
	if err != nil {
		return nil, err
	}
	return &Unprotection{master: m}, nil
}

// Follow says which key came before: a phone that has another one goes on counting the turns of its sequence numbers (RFC 3711 §3.3.1), but
// many begin anew, for they make all that protects their media again. Its first packet tells.
func (u *Unprotection) Follow(former *Unprotection) {
	if former == nil {
		return
	}
	u.former = former.former // for nothing has come since
	if len(former.rtp.known) == 0 || former.made == nil {
		return
	}
	if count, ok := former.made.ROC(former.rtp.last); ok {
		u.former = &turns{former.rtp.last, count}
	}
}

// first decrypts the first packet of a source that was there before the key: by the turns that it had come to, by one more, or by none.
func (u *Unprotection) first(c *srtp.Context, packet Packet) (Packet, error) {
	var room [MaxPacket]byte
	kept := room[:copy(room[:], packet)]
	if len(kept) < len(packet) {
		return nil, ErrNotAuthentic
	}
	for _, count := range [...]uint32{u.former.count, u.former.count + 1, 0} {
		c.SetROC(u.former.ssrc, count)
		plain, err := c.DecryptRTP(packet[:0], packet, &u.header)
		if err == nil {
			u.former = nil
			return plain, nil
		}
		copy(packet, kept)
	}
	return nil, ErrNotAuthentic
}

// RTP checks and decrypts in place. A packet that is refused leaves no state behind; its bytes are spoilt.
func (u *Unprotection) RTP(packet []byte) (Packet, error) {
	p, ok := Read(packet)
	if !ok || u.rtp.full(p.SSRC()) {
		return nil, ErrNotAuthentic
	}
	c, err := u.context()
	if err != nil {
		return nil, ErrNotAuthentic
	}
	var plain []byte
	if u.former != nil && p.SSRC() == u.former.ssrc {
		plain, err = u.first(c, p)
	} else {
		plain, err = c.DecryptRTP(packet[:0], packet, &u.header)
	}
	if err != nil {
		return nil, ErrNotAuthentic
	}
	u.rtp.add(p.SSRC())
	return plain, nil
}

// RTCP checks and decrypts in place, as RTP does.
func (u *Unprotection) RTCP(packet []byte) ([]byte, error) {
	if len(packet) < rtcpHeader {
		return nil, ErrNotAuthentic
	}
	ssrc := binary.BigEndian.Uint32(packet[4:])
	if u.rtcp.full(ssrc) {
		return nil, ErrNotAuthentic
	}
	c, err := u.context()
	if err != nil {
		return nil, ErrNotAuthentic
	}
	plain, err := c.DecryptRTCP(packet[:0], packet, nil)
	if err != nil {
		return nil, ErrNotAuthentic
	}
	u.rtcp.add(ssrc)
	return plain, nil
}
