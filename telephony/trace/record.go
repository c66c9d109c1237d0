package trace

import (
	"encoding/binary"
	"net/netip"
	"time"

	"demarc/telephony"
)

// A record is a message as it is kept: its size (4 bytes), its number and its time (8 each), what it is (1), whose it is, how
// and between whom it went (a length and a text each), and its text up to the end.
const (
	recordSize    = 4
	isInbound     = 1 << 0
	isKnown       = 1 << 1
	longestName   = 1<<16 - 1 // bytes; names are parts of messages, which are far shorter
	recordNumbers = recordSize + 8 + 8 + 1
)

// appendRecord appends the record of a message, without what is secret.
func appendRecord(dst []byte, m *Message, seq uint64) []byte {
	var flags byte
	if m.Inbound {
		flags |= isInbound
	}
	if m.Known {
		flags |= isKnown
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.At.UnixNano()))
	dst = append(dst, flags)
	dst = appendName(dst, m.AoR.User)
	dst = appendName(dst, m.AoR.Domain)
	dst = appendName(dst, string(m.Transport))
	dst = appendAddress(dst, m.Local)
	dst = appendAddress(dst, m.Remote)
	if m.Plain {
		tokens, _ := mayHold(m.Text)
		dst = appendWithoutTokens(dst, m.Text, tokens)
	} else {
		dst = appendRedacted(dst, m.Text)
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

func appendName(dst []byte, name string) []byte {
	name = name[:min(len(name), longestName)]
	return append(binary.LittleEndian.AppendUint16(dst, uint16(len(name))), name...)
}

func appendAddress(dst []byte, a netip.AddrPort) []byte {
	start := len(dst)
	dst = append(dst, 0, 0)
	dst, _ = a.AppendBinary(dst) // never fails
	binary.LittleEndian.PutUint16(dst[start:], uint16(len(dst)-start-2))
	return dst
}

// sizeOf returns the size of the record that begins here.
func sizeOf(b []byte) int { return int(binary.LittleEndian.Uint32(b)) }

// readRecord reads what appendRecord wrote. Its text is b's; the Call-ID is not read.
func readRecord(b []byte) (e Entry) {
	e.Seq = binary.LittleEndian.Uint64(b[recordSize:])
	e.At = time.Unix(0, int64(binary.LittleEndian.Uint64(b[recordSize+8:])))
	flags := b[recordNumbers-1]
	e.Inbound, e.Known = flags&isInbound != 0, flags&isKnown != 0
	var user, domain, transport, local, remote []byte
	rest := b[recordNumbers:]
	for _, part := range [...]*[]byte{&user, &domain, &transport, &local, &remote} {
		*part, rest = readName(rest)
	}
	e.AoR = telephony.AoR{User: string(user), Domain: string(domain)}
	e.Transport = telephony.Transport(transport)
	_ = e.Local.UnmarshalBinary(local) // what was marshalled
	_ = e.Remote.UnmarshalBinary(remote)
	e.Text = rest
	return e
}

func readName(b []byte) (name, rest []byte) {
	end := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:end], b[end:]
}
