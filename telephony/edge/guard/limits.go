package guard

import (
	"net/netip"
	"time"
)

// Limits bounds what strangers may do; edge.Limits says what each means and is by default. None may be zero.
type Limits struct {
	Connections, SourceConnections int
	HalfOpen, SourceHalfOpen       int
	Patience                       time.Duration

	Admission                   int // per second
	Guesses                     int
	GuessRefill                 time.Duration // until one more is taken
	SourceWrong, SourceRequests int           // within Window
	Window, Ban, Trust          time.Duration
}

// Source is what per-address limits count: an IPv4 address or an IPv6 /64, since a host has as many of those as it
// likes.
func Source(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// whole returns all addresses that are one source.
func whole(source netip.Addr) netip.Prefix {
	if source.Is6() {
		return netip.PrefixFrom(source, 64)
	}
	return netip.PrefixFrom(source, 32)
}
