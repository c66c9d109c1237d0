package edge

import (
	"encoding/binary"
	"net/netip"
)

// Parts of STUN (RFC 8489) that a keep-alive over UDP needs (RFC 5626 §3.5.2): a phone asks, and learns from the answer
// that its way here is open and by which address it is seen.
const (
	stunHeader         = 20
	stunCookie         = 0x2112a442
	stunBinding        = 0x0001
	stunSuccess        = 0x0101
	stunFailure        = 0x0111
	stunXORMapped      = 0x0020
	stunErrorCode      = 0x0009
	stunUnknown        = 0x000a
	stunComprehension  = 0x8000 // attributes below it must be understood
	maxUnknownAnswered = 4
)

// isSTUN tells STUN from SIP: the first byte of a SIP message is a letter (RFC 7983 §7).
func isSTUN(b []byte) bool { return b[0] < 4 }

// stunReply answers a binding request, or returns nothing when b is none.
func stunReply(b []byte, from netip.AddrPort) []byte {
	if len(b) < stunHeader || binary.BigEndian.Uint16(b) != stunBinding || binary.BigEndian.Uint32(b[4:]) != stunCookie ||
		int(binary.BigEndian.Uint16(b[2:])) != len(b)-stunHeader {
		return nil
	}
	unknown, ok := stunAttributes(b[stunHeader:])
	switch {
	case !ok:
		return nil
	case len(unknown) > 0:
		return stunRefusal(b, unknown)
	}
	reply := stunStart(b, stunSuccess)
	return stunEnd(appendXORMapped(reply, b[4:stunHeader], from))
}

// stunAttributes walks the attributes and returns those that would have to be understood. MESSAGE-INTEGRITY and its kind
// are for those who share a secret; nobody does here.
func stunAttributes(b []byte) (unknown []uint16, ok bool) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, false
		}
		kind, size := binary.BigEndian.Uint16(b), (int(binary.BigEndian.Uint16(b[2:]))+3)&^3
		if size > len(b)-4 {
			return nil, false
		}
		if kind < stunComprehension && len(unknown) < maxUnknownAnswered {
			unknown = append(unknown, kind)
		}
		b = b[4+size:]
	}
	return unknown, true
}

func stunStart(request []byte, kind uint16) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 64), kind)
	b = append(b, 0, 0)
	return append(b, request[4:stunHeader]...)
}

func stunEnd(b []byte) []byte {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-stunHeader))
	return b
}

// appendXORMapped appends XOR-MAPPED-ADDRESS (RFC 8489 §14.2); mask is the cookie and the transaction's id.
func appendXORMapped(b, mask []byte, from netip.AddrPort) []byte {
	address, family := from.Addr().Unmap().AsSlice(), byte(1)
	if len(address) == 16 {
		family = 2
	}
	b = binary.BigEndian.AppendUint16(b, stunXORMapped)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(address)))
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, from.Port()^binary.BigEndian.Uint16(mask))
	for i, c := range address {
		b = append(b, c^mask[i])
	}
	return b
}

// stunRefusal says 420 and which attributes were not understood (RFC 8489 §6.3.1).
func stunRefusal(request []byte, unknown []uint16) []byte {
	b := stunStart(request, stunFailure)
	b = binary.BigEndian.AppendUint16(b, stunErrorCode)
	b = append(b, 0, 4, 0, 0, 4, 20)
	b = binary.BigEndian.AppendUint16(b, stunUnknown)
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(unknown)))
	for _, kind := range unknown {
		b = binary.BigEndian.AppendUint16(b, kind)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return stunEnd(b)
}
