package registration

import (
	"net/netip"
	"strings"

	"demarc/telephony"
)

// NeedsProbes reports whether the phone has to be asked over UDP now and then: to hold the way to it open, or to see whether it still is.
func (b *Binding) NeedsProbes() bool { return b.behindNAT() || b.outboundUDP() }

// behindNAT reports whether only its last datagrams hold the way to a phone open: it says that it is somewhere else than
// it is seen at. A proxy in front of the phone has that to care for itself.
func (b Binding) behindNAT() bool {
	if b.Flow.Transport != telephony.UDP || !b.Reachable || b.Path != "" {
		return false
	}
	_, _, rest := splitURI(b.Contact)
	rest, _, _ = strings.Cut(rest, "?")
	host, _, _ := strings.Cut(rest, ";")
	says, err := netip.ParseAddrPort(host)
	if err != nil {
		a, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return true // a name, which nobody looks up
		}
		says = netip.AddrPortFrom(a, 5060)
	}
	return says.Addr().Unmap() != b.Flow.Remote.Addr().Unmap() || says.Port() != b.Flow.Remote.Port()
}

// outboundUDP reports whether a phone was told to keep a UDP flow alive (RFC 5626 §4.4.2). No connection closes when it stops
// to, so that it is asked itself.
func (b Binding) outboundUDP() bool {
	return b.Flow.Transport == telephony.UDP && b.Reachable && b.Path == "" && b.Instance != "" && b.RegID > 0
}
