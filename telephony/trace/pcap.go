package trace

import (
	"encoding/binary"
	"io"
	"net/netip"
	"time"
)

// WritePcapHeader begins a capture file of raw IP packets, as Wireshark and sngrep read it.
func WritePcapHeader(w io.Writer) error {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 65535)
	_, err := w.Write(binary.LittleEndian.AppendUint32(b, 101)) // LINKTYPE_RAW
	return err
}

// WritePcapPacket appends one message as a UDP packet, whatever its transport was: the message was taken from within
// TLS, so that there is nothing else to show. Addresses that are not known become 0.0.0.0.
func WritePcapPacket(w io.Writer, at time.Time, from, to netip.AddrPort, text []byte) error {
	text = text[:min(len(text), 65000)]
	packet := ip(from, to, udp(from, to, text))
	b := binary.LittleEndian.AppendUint32(nil, uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
	_, err := w.Write(append(b, packet...))
	return err
}

// pair returns both addresses in one family.
func pair(from, to netip.AddrPort) (a, b []byte, six bool) {
	x, y := known(from), known(to)
	if x.Is4() && y.Is4() {
		return x.AsSlice(), y.AsSlice(), false
	}
	sixteen := func(a netip.Addr) []byte { b := a.As16(); return b[:] }
	return sixteen(x), sixteen(y), true
}

func known(a netip.AddrPort) netip.Addr {
	if !a.IsValid() {
		return netip.IPv4Unspecified()
	}
	return a.Addr().Unmap().WithZone("")
}

func udp(from, to netip.AddrPort, text []byte) []byte {
	length := uint16(8 + len(text))
	b := binary.BigEndian.AppendUint16(nil, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(binary.BigEndian.AppendUint16(b, 0), text...)
	source, target, _ := pair(from, to)
	pseudo := append(append([]byte{}, source...), target...)
	pseudo = append(pseudo, 0, 17, byte(length>>8), byte(length))
	sum := checksum(append(pseudo, b...))
	if sum == 0 {
		sum = 0xffff // RFC 768: zero says that there is none
	}
	binary.BigEndian.PutUint16(b[6:], sum)
	return b
}

func ip(from, to netip.AddrPort, payload []byte) []byte {
	source, target, six := pair(from, to)
	if six {
		b := []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), 17, 64}
		return append(append(append(b, source...), target...), payload...)
	}
	length := 20 + len(payload)
	b := []byte{0x45, 0, byte(length >> 8), byte(length), 0, 0, 0x40, 0, 64, 17, 0, 0}
	b = append(append(b, source...), target...)
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, payload...)
}

// checksum is RFC 1071's.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
