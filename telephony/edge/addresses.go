package edge

import (
	"net"
	"net/netip"
)

// Addr returns the address that a listener is bound to, zero before Listen or for an unknown name.
func (e *Edge) Addr(listener string) netip.AddrPort {
	for _, a := range e.acceptors {
		if a.cfg.Name == listener || a.web != nil && a.web.Name == listener {
			return unmapped(a.ln.Addr().(*net.TCPAddr).AddrPort())
		}
	}
	for _, s := range e.sockets {
		if s.cfg.Name == listener {
			return unmapped(s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
		}
	}
	return netip.AddrPort{}
}

// Advertised returns host:port that phones are to use for a listener.
func (e *Edge) Advertised(listener string) string {
	for _, l := range e.cfg.Listeners {
		if l.Name == listener && l.Advertise != "" {
			return l.Advertise
		}
	}
	return e.Addr(listener).String()
}

// MediaAddress returns where phones of a listener are to send media: what is configured, else the host that it advertises
// when that is an address, else the address that it is bound to. Zero says that the listener is on all addresses: then it
// is the one that the way to the phone leads from.
func (e *Edge) MediaAddress(listener string) netip.Addr {
	for _, l := range e.cfg.Listeners {
		if l.Name != listener {
			continue
		}
		if l.Media.IsValid() {
			return l.Media.Unmap()
		}
		if advertised, err := netip.ParseAddrPort(l.Advertise); err == nil {
			return advertised.Addr().Unmap()
		}
	}
	if bound := e.Addr(listener).Addr(); !bound.IsUnspecified() {
		return bound
	}
	return netip.Addr{}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
