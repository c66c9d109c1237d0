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
	recordBegin   = recordSize + 8 // size and number
	isInbound     = 1 << 0
	isKnown       = 1 << 1
	longestName   = 1<<16 - 1 // bytes; names are parts of messages, which are far shorter
	recordNumbers = recordSize + 8 + 8 + 1
)

// appendRecord appends the record of a message, without what is secret. It reports whether push tokens may have been in it.
func appendRecord(dst []byte, m *Message, seq uint64) (record []byte, tokens bool) {
	start := len(dst)
	dst = appendNames(dst, m, m.Inbound, seq)
	if m.Plain {
		dst, tokens = appendPlain(dst, m.Text, m.Credentials)
	} else {
		dst, tokens = appendRedacted(dst, m.Text)
	}
	return finish(dst, start), tokens
}

// appendAnswer appends the record of a message's answer, which goes the other way. Tokens are looked for if the message may hold some.
func appendAnswer(dst []byte, m *Message, seq uint64, tokens bool) []byte {
	start := len(dst)
	dst = appendNames(dst, m, !m.Inbound, seq)
	answer, _ := telephony.HidePasswords(m.Answer)
	return finish(appendWithoutTokens(dst, answer, tokens), start)
}

// finish writes the size of the record that begins at a place.
func finish(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

// appendNames appends what stands in front of the text.
func appendNames(dst []byte, m *Message, inbound bool, seq uint64) []byte {
	var flags byte
	if inbound {
		flags |= isInbound
	}
	if m.Known {
		flags |= isKnown
	}
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.At.UnixNano()))
	dst = append(dst, flags)
	dst = appendName(dst, m.AoR.User)
	dst = appendName(dst, m.AoR.Domain)
	dst = appendName(dst, string(m.Transport))
	dst = appendAddress(dst, m.Local)
	return appendAddress(dst, m.Remote)
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

// seqOf returns the number of the record that begins here.
func seqOf(b []byte) uint64 { return binary.LittleEndian.Uint64(b[recordSize:]) }

// readRecord reads what appendRecord wrote. Its text is b's; the Call-ID is not read.
func readRecord(b []byte) (e Entry) {
	e.Seq = seqOf(b)
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
