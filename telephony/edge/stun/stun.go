// Package stun owns the parts of STUN (RFC 8489) that a keep-alive over UDP needs (RFC 5626 §3.5.2): a phone asks, and learns from
// the answer that its way here is open and by which address it is seen.
//
// What it answers may be larger than what was asked: whether the address deserves that is its caller's to know. No compatibility
// promise.
package stun

import (
	"encoding/binary"
	"net/netip"
)

const (
	headerSize         = 20
	cookie             = 0x2112a442
	binding            = 0x0001
	success            = 0x0101
	failure            = 0x0111
	xorMapped          = 0x0020
	errorCode          = 0x0009
	unknownAttributes  = 0x000a
	comprehension      = 0x8000 // attributes below it must be understood
	maxUnknownAnswered = 4
)

// Is tells STUN from SIP: the first byte of a SIP message is a letter (RFC 7983 §7). An empty datagram
// is neither.
func Is(b []byte) bool { return len(b) > 0 && b[0] < 4 }

// Reply answers a binding request that came from an address, or returns nothing when b is none.
func Reply(b []byte, from netip.AddrPort) []byte {
	if len(b) < headerSize || binary.BigEndian.Uint16(b) != binding || binary.BigEndian.Uint32(b[4:]) != cookie ||
		int(binary.BigEndian.Uint16(b[2:])) != len(b)-headerSize {
		return nil
	}
	unknown, ok := attributes(b[headerSize:])
	switch {
	case !ok:
		return nil
	case len(unknown) > 0:
		return refusal(b, unknown)
	}
	reply := start(b, success)
	return end(appendXORMapped(reply, b[4:headerSize], from))
}

// attributes walks the attributes and returns those that would have to be understood. MESSAGE-INTEGRITY and its kind
// are for those who share a secret; nobody does here.
func attributes(b []byte) (unknown []uint16, ok bool) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, false
		}
		kind, size := binary.BigEndian.Uint16(b), (int(binary.BigEndian.Uint16(b[2:]))+3)&^3
		if size > len(b)-4 {
			return nil, false
		}
		if kind < comprehension && len(unknown) < maxUnknownAnswered {
			unknown = append(unknown, kind)
		}
		b = b[4+size:]
	}
	return unknown, true
}

func start(request []byte, kind uint16) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 64), kind)
	b = append(b, 0, 0)
	return append(b, request[4:headerSize]...)
}

func end(b []byte) []byte {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-headerSize))
	return b
}

// appendXORMapped appends XOR-MAPPED-ADDRESS (RFC 8489 §14.2); mask is the cookie and the transaction's id.
func appendXORMapped(b, mask []byte, from netip.AddrPort) []byte {
	address, family := from.Addr().Unmap().AsSlice(), byte(1)
	if len(address) == 16 {
		family = 2
	}
	b = binary.BigEndian.AppendUint16(b, xorMapped)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(address)))
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, from.Port()^binary.BigEndian.Uint16(mask))
	for i, c := range address {
		b = append(b, c^mask[i])
	}
	return b
}

// refusal says 420 and which attributes were not understood (RFC 8489 §6.3.1).
func refusal(request []byte, unknown []uint16) []byte {
	b := start(request, failure)
	b = binary.BigEndian.AppendUint16(b, errorCode)
	b = append(b, 0, 4, 0, 0, 4, 20)
	b = binary.BigEndian.AppendUint16(b, unknownAttributes)
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(unknown)))
	for _, kind := range unknown {
		b = binary.BigEndian.AppendUint16(b, kind)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return end(b)
}
