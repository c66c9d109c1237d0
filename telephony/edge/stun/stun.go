// Package stun owns the answers to STUN (RFC 8489) that a keep-alive over UDP needs (RFC 5626 §3.5.2): a phone asks, and learns from
// the answer that its way here is open and by which address it is seen.
//
// What it answers may be larger than what was asked: whether the address deserves that is its caller's to know. No compatibility
// promise.
package stun

import (
	"net/netip"

	"github.com/pion/stun/v4"
)

const (
	headerSize         = 20
	maxUnknownAnswered = 4
)

// Is tells STUN from SIP: the first byte of a SIP message is a letter (RFC 7983 §7). An empty datagram
// is neither.
func Is(b []byte) bool { return len(b) > 0 && b[0] < 4 }

// Reply answers a binding request that came from an address, or returns nothing when b is none.
func Reply(b []byte, from netip.AddrPort) []byte {
	request := stun.Message{Raw: b}
	if request.Decode() != nil || request.Type != stun.BindingRequest || int(request.Length) != len(b)-headerSize {
		return nil
	}
	id := stun.NewTransactionIDSetter(request.TransactionID)
	if unknown := unknownOf(request.Attributes); len(unknown) > 0 {
		return built(id, stun.BindingError, stun.ErrorCodeAttribute{Code: stun.CodeUnknownAttribute}, unknown)
	}
	return built(id, stun.BindingSuccess, stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())})
}

// unknownOf returns those attributes that would have to be understood (RFC 8489 §6.3.1). MESSAGE-INTEGRITY and its kind
// are for those who share a secret; nobody does here.
func unknownOf(all stun.Attributes) (unknown stun.UnknownAttributes) {
	for _, a := range all {
		if a.Type.Required() && len(unknown) < maxUnknownAnswered {
			unknown = append(unknown, a.Type)
		}
	}
	return unknown
}

func built(parts ...stun.Setter) []byte {
	m, err := stun.Build(parts...)
	if err != nil { // which the parts above do not bring about
		return nil
	}
	return m.Raw
}
