package rtp

import (
	"encoding/binary"
	"time"
)

// Types of RTCP packets (RFC 3550 §12.1, RFC 4585 §6.1).
const (
	typeSenderReport   = 200
	typeReceiverReport = 201
	typeDescription    = 202
	typeBye            = 203
	typeFeedback       = 205
	typePayload        = 206
)

// SenderReport is what a sender says of itself (RFC 3550 §6.4.1).
type SenderReport struct {
	SSRC            uint32
	NTP             uint64
	Timestamp       uint32
	Packets, Octets uint32
}

// Block is what a listener says of one source (RFC 3550 §6.4.1).
type Block struct {
	SSRC       uint32
	Fraction   uint8  // lost since the last report, of 256
	Lost       uint32 // since the beginning; a negative count reads as 0
	Highest    uint32
	Jitter     uint32 // in units of the clock
	LastReport uint32 // middle of the NTP time of the sender's last report
	Delay      uint32 // since it came, in 1/65536 s
}

// JitterAt returns the jitter at a clock rate in Hz.
func (b Block) JitterAt(rate int) time.Duration { return span(b.Jitter, rate) }

// Reader is told what a compound packet holds.
type Reader interface {
	SenderReport(SenderReport)
	Block(Block)
	Feedback([]byte) // one packet of types 205 and 206, whole
}

// ReadRTCP walks a compound packet. It is false, and nobody was told anything, when the packet is not whole (RFC 3550 A.2).
func ReadRTCP(b []byte, to Reader) bool {
	if !whole(b) {
		return false
	}
	for len(b) > 0 {
		size := packetSize(b)
		readOne(b[:size], to)
		b = b[size:]
	}
	return true
}

func whole(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		if len(b) < rtcpHeader || b[0]>>6 != 2 || b[1] < 192 || b[1] > 223 || packetSize(b) > len(b) || packetSize(b) < rtcpHeader {
			return len(b) == 4 && b[1] == typeBye && b[0] == 0x80 && packetSize(b) == 4 // a BYE of nobody
		}
		b = b[packetSize(b):]
	}
	return true
}

func packetSize(b []byte) int { return 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1) }

func readOne(b []byte, to Reader) {
	blocks := 0
	switch b[1] {
	case typeSenderReport:
		if len(b) < 28 {
			return
		}
		to.SenderReport(SenderReport{
			SSRC: binary.BigEndian.Uint32(b[4:]), NTP: binary.BigEndian.Uint64(b[8:]), Timestamp: binary.BigEndian.Uint32(b[16:]),
			Packets: binary.BigEndian.Uint32(b[20:]), Octets: binary.BigEndian.Uint32(b[24:]),
		})
		blocks = 28
	case typeReceiverReport:
		blocks = rtcpHeader
	case typeFeedback, typePayload:
		to.Feedback(b)
		return
	default:
		return
	}
	for n := int(b[0] & 0x1f); n > 0 && len(b) >= blocks+24; n-- {
		to.Block(readBlock(b[blocks:]))
		blocks += 24
	}
}

func readBlock(b []byte) Block {
	lost := binary.BigEndian.Uint32(b[4:]) & 0xffffff
	if lost&0x800000 != 0 {
		lost = 0
	}
	return Block{
		SSRC: binary.BigEndian.Uint32(b), Fraction: b[4], Lost: lost, Highest: binary.BigEndian.Uint32(b[8:]),
		Jitter: binary.BigEndian.Uint32(b[12:]), LastReport: binary.BigEndian.Uint32(b[16:]), Delay: binary.BigEndian.Uint32(b[20:]),
	}
}

// Kinds of feedback that cross from leg to leg (RFC 4585 §6.2.1 and §6.3.1, RFC 5104 §4.3.1).
const (
	formatNACK = 1 // of typeFeedback
	formatPLI  = 1 // of typePayload
	formatFIR  = 4 // of typePayload
)

// AppendFeedback appends what a listener asks of the sender of a picture: to send packets again, or a whole picture. It speaks for
// us to another leg: from, and of the numbers that leg knows. Other feedback is of one way alone and does not cross.
func AppendFeedback(dst, b []byte, from, source uint32, original func(uint16) uint16) ([]byte, bool) {
	format, kind := b[0]&0x1f, b[1]
	if len(b) < 12 || (kind != typeFeedback || format != formatNACK) && (kind != typePayload || format != formatPLI && format != formatFIR) {
		return dst, false
	}
	start := len(dst)
	dst = append(dst, b...)
	own := dst[start:]
	binary.BigEndian.PutUint32(own[4:], from)
	binary.BigEndian.PutUint32(own[8:], source)
	switch {
	case kind == typeFeedback:
		for at := 12; at+4 <= len(own); at += 4 { // the mask counts on from the number
			binary.BigEndian.PutUint16(own[at:], original(binary.BigEndian.Uint16(own[at:])))
		}
	case format == formatFIR:
		binary.BigEndian.PutUint32(own[8:], 0)
		for at := 12; at+8 <= len(own); at += 8 {
			binary.BigEndian.PutUint32(own[at:], source)
		}
	}
	return dst, true
}

// AppendSenderReport appends a sender report with up to one block.
func AppendSenderReport(dst []byte, r SenderReport, blocks ...Block) []byte {
	dst = appendHeader(dst, byte(len(blocks)), typeSenderReport, 28+24*len(blocks))
	dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
	dst = binary.BigEndian.AppendUint64(dst, r.NTP)
	dst = binary.BigEndian.AppendUint32(dst, r.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, r.Packets)
	dst = binary.BigEndian.AppendUint32(dst, r.Octets)
	return appendBlocks(dst, blocks)
}

// AppendReceiverReport appends a receiver report.
func AppendReceiverReport(dst []byte, ssrc uint32, blocks ...Block) []byte {
	dst = appendHeader(dst, byte(len(blocks)), typeReceiverReport, 8+24*len(blocks))
	return appendBlocks(binary.BigEndian.AppendUint32(dst, ssrc), blocks)
}

// AppendName appends the description that every compound packet has (RFC 3550 §6.1): the SSRC's CNAME, up to 64 bytes.
func AppendName(dst []byte, ssrc uint32, name string) []byte {
	pad := 4 - (2+len(name))%4 // one zero at least ends the list
	dst = appendHeader(dst, 1, typeDescription, 8+2+len(name)+pad)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(append(dst, 1, byte(len(name))), name...)
	return append(dst, "\x00\x00\x00\x00"[:pad]...)
}

func appendHeader(dst []byte, count, kind byte, size int) []byte {
	return binary.BigEndian.AppendUint16(append(dst, 0x80|count, kind), uint16(size/4-1))
}

func appendBlocks(dst []byte, blocks []Block) []byte {
	for _, b := range blocks {
		dst = binary.BigEndian.AppendUint32(dst, b.SSRC)
		dst = binary.BigEndian.AppendUint32(dst, uint32(b.Fraction)<<24|b.Lost&0xffffff)
		dst = binary.BigEndian.AppendUint32(dst, b.Highest)
		dst = binary.BigEndian.AppendUint32(dst, b.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, b.LastReport)
		dst = binary.BigEndian.AppendUint32(dst, b.Delay)
	}
	return dst
}
