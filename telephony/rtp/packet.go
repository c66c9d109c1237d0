package rtp

import "encoding/binary"

// Kind is what a datagram on a media port is.
type Kind uint8

// The kinds of datagrams (RFC 7983 §7, RFC 5761 §4).
const (
	Other Kind = iota
	STUN
	DTLS
	RTP
	RTCP
)

// HeaderSize is the size of the fixed header of RTP, in bytes (RFC 3550 §5.1).
const HeaderSize = 12

// MaxPacket is the largest datagram that is read, in bytes: no phone sends more than an Ethernet frame takes.
const MaxPacket = 1600

// rtcpHeader is the size of what leads every RTCP packet, its sender's SSRC included.
const rtcpHeader = 8

// KindOf tells by the first bytes what b is. It does not look whether the rest is right.
func KindOf(b []byte) Kind {
	switch {
	case len(b) < rtcpHeader:
		return Other
	case b[0] < 4:
		return STUN
	case b[0] >= 20 && b[0] < 64:
		return DTLS
	case b[0]>>6 != 2:
		return Other
	case b[1] >= 192 && b[1] <= 223:
		return RTCP
	case len(b) < HeaderSize:
		return Other
	}
	return RTP
}

// Packet is one RTP packet, checked by Read.
type Packet []byte

// Read takes b for an RTP packet, or says that it is none: its header reaches beyond its end.
func Read(b []byte) (Packet, bool) {
	if KindOf(b) != RTP || len(b) < Packet(b).header() {
		return nil, false
	}
	return b, true
}

// header returns where the payload begins; beyond the end when the packet is cut short.
func (p Packet) header() int {
	n := HeaderSize + 4*int(p[0]&0x0f)
	if p[0]&0x10 == 0 {
		return n
	}
	if len(p) < n+4 {
		return n + 4
	}
	return n + 4 + 4*int(binary.BigEndian.Uint16(p[n+2:]))
}

// PayloadType returns the payload type.
func (p Packet) PayloadType() uint8 { return p[1] & 0x7f }

// SetPayloadType writes the payload type and leaves the marker.
func (p Packet) SetPayloadType(t uint8) { p[1] = p[1]&0x80 | t }

// Marker reports whether the marker bit is set.
func (p Packet) Marker() bool { return p[1]&0x80 != 0 }

// SetMarker sets the marker bit.
func (p Packet) SetMarker() { p[1] |= 0x80 }

// Sequence returns the sequence number.
func (p Packet) Sequence() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Timestamp returns the timestamp, in units of the payload's clock.
func (p Packet) Timestamp() uint32 { return binary.BigEndian.Uint32(p[4:]) }

// SSRC returns the source.
func (p Packet) SSRC() uint32 { return binary.BigEndian.Uint32(p[8:]) }

// Renumber writes sequence number, timestamp and source.
func (p Packet) Renumber(sequence uint16, timestamp, ssrc uint32) {
	binary.BigEndian.PutUint16(p[2:], sequence)
	binary.BigEndian.PutUint32(p[4:], timestamp)
	binary.BigEndian.PutUint32(p[8:], ssrc)
}

// Payload returns what the packet carries, without padding. Of a packet whose padding is longer than itself it is empty.
func (p Packet) Payload() []byte {
	b := p[p.header():]
	if p[0]&0x20 == 0 || len(b) == 0 {
		return b
	}
	if pad := int(b[len(b)-1]); pad <= len(b) {
		return b[:len(b)-pad]
	}
	return nil
}

// Append appends a packet without extensions to dst.
func Append(dst []byte, payloadType uint8, marker bool, payload []byte) []byte {
	if marker {
		payloadType |= 0x80
	}
	dst = append(dst, 0x80, payloadType, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(dst, payload...)
}
