package edge

import (
	"net"
	"net/netip"
	"time"

	"demarc/telephony"
)

// Reached returns host:port by which who is at the other end of a flow reaches its listener: what is advertised, else where it is
// bound. One that is on all addresses is reached at the address that the connection or the datagrams came to, and where none came, at
// the one from which the way to the peer leads. Same says that it is so for all flows of the listener.
func (e *Edge) Reached(f telephony.Flow) (name string, same bool) {
	bound, advertised := e.Addr(f.Listener), e.Advertised(f.Listener)
	if advertised != bound.String() || !bound.Addr().IsUnspecified() {
		return advertised, true
	}
	own := e.own(f)
	if !own.IsValid() {
		return advertised, false
	}
	return netip.AddrPortFrom(own, bound.Port()).String(), false
}

// own returns which of our addresses a flow leads to, zero when nobody can tell.
func (e *Edge) own(f telephony.Flow) netip.Addr {
	if open, ok := e.live.Load(f.ID); ok && f.Transport.Stream() {
		return open.(*flow).local.Addr().WithZone("")
	}
	if f.Local.IsValid() {
		return f.Local
	}
	peer := f.Remote.Addr()
	if known, ok := e.locals.Find(peer); ok && time.Since(known.at) < localAge {
		return known.addr
	}
	found := localTo{addr: towards(f.Remote), at: time.Now()}
	e.locals.Set(peer, found)
	return found.addr
}

// localTo is which of our addresses leads to a peer, and when that was asked for.
type localTo struct {
	addr netip.Addr
	at   time.Time
}

const (
	localAge  = 5 * time.Second // a change of routes is rare
	maxLocals = 4096            // peers
)

// towards asks the system, which tells when a socket is connected; nothing is sent by that.
func towards(peer netip.AddrPort) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(peer))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
}

// ContactURI is what our own Contact names on a flow: its listener, which every request of the dialog comes to.
func (e *Edge) ContactURI(f telephony.Flow) string {
	name, _ := e.Reached(f)
	return "sip:demarc@" + name + ";transport=" + string(f.Transport)
}
