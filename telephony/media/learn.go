package media

import "net/netip"

// place is where a phone's media comes from and goes to.
//
// Plain RTP proves nothing, so that whoever sends first from elsewhere would get the call: it is taken from the address of the
// SDP alone. A phone behind NAT tells an address that means nothing here; its packets come from where its SIP comes from, by a
// port that nobody can know, and the first one that does decides; so do those of one that tells a name, which is not looked up, or an address
// of the other version of IP, which our ports may not reach. Authentic packets decide by themselves, again whenever they
// come from elsewhere: a phone moves between networks.
type place struct {
	told  netip.AddrPort // by SDP
	host  netip.Addr     // behind which any port may be the phone's; zero: none
	blind bool           // told means nothing here: nothing is sent before the phone was found
	found netip.AddrPort
}

// newPlace returns the place of a phone that told an address in SDP and whose SIP comes from signalled.
func newPlace(told netip.AddrPort, signalled netip.Addr) place {
	told = netip.AddrPortFrom(told.Addr().Unmap(), told.Port())
	signalled = signalled.Unmap()
	p := place{told: told}
	switch {
	case told.Port() == 0 || !told.IsValid() || signalled == told.Addr():
	case inward(told.Addr()):
		p.host, p.blind = signalled, true
	case private(told.Addr()) && signalled.IsValid():
		p.host, p.blind = signalled, !private(signalled)
	case signalled.IsValid() && signalled.Is4() != told.Addr().Is4():
		p.host = signalled
	}
	return p
}

// inward reports whether an address leads to this machine, or to many: what a phone elsewhere tells so is wrong, or meant to make us
// send to what listens here alone.
func inward(a netip.Addr) bool {
	return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// private reports whether an address is one that NAT hides (RFC 1918, RFC 6598, RFC 3927, RFC 4193).
func private(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	return a.IsPrivate() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

// admits reports whether a plain packet may come from there; a first one settles it: found is then new.
func (p *place) admits(from netip.AddrPort) (ok, found bool) {
	switch {
	case p.found.IsValid():
		return from == p.found, false
	case from == p.told, p.host.IsValid() && from.Addr() == p.host:
		p.found = from
		return true, true
	}
	return false, false
}

// target is where to send; none while nobody knows.
func (p *place) target() netip.AddrPort {
	switch {
	case p.found.IsValid():
		return p.found
	case p.blind || p.told.Port() == 0:
		return netip.AddrPort{}
	}
	return p.told
}

// sameAs reports whether an offer has told nothing new, so that what was found stays.
func (p *place) sameAs(q place) bool { return p.told == q.told && p.host == q.host }
