package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrPrivateAddress says that a service's name leads into the operator's own network.
var ErrPrivateAddress = errors.New("the address lies inside this network and may not be dialled: " +
	"use a public address, or let the operator allow its prefix")

// guard decides which addresses may be dialled. It sees the address that the connection really goes to, after all name
// resolution, so that no answer of a name server gets around it.
type guard struct {
	allowed  []netip.Prefix
	reserved []netip.Prefix
}

func newGuard(allowed []netip.Prefix) guard {
	g := guard{allowed: allowed}
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", // IPv4 special purpose (RFC 6890)
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "2001:db8::/32", "3fff::/20", "100::/64",
		"fec0::/10", "5f00::/16", // IPv6, with those that carry an IPv4 address inside
	} {
		g.reserved = append(g.reserved, netip.MustParsePrefix(s))
	}
	return g
}

// control is a net.Dialer's ControlContext.
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	peer, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w (%s)", ErrPrivateAddress, address)
	}
	if !g.permits(peer.Addr()) {
		return fmt.Errorf("%w (%s)", ErrPrivateAddress, peer.Addr())
	}
	return nil
}

func (g guard) permits(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(ip) {
			return true
		}
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() { // loopback, link-local, multicast, unspecified; RFC 1918, fc00::/7
		return false
	}
	for _, p := range g.reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
