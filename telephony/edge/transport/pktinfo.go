package transport

import (
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket on all addresses has to be told which of them to send from: an answer leaves from where the request came to
// (RFC 3261 §18.2.2, RFC 3581 §4), for NATs and phones take it from nowhere else. Left alone, the system takes the one that its
// routes prefer. The socket option IP_PKTINFO, or IPV6_RECVPKTINFO, lets control data tell with every datagram.

// control is the control data of one datagram: which of our addresses it has come to, or is to leave from.
type control struct {
	header unix.Cmsghdr
	info   unix.Inet6Pktinfo // or unix.Inet4Pktinfo, which is smaller
}

// everywhere reports whether a socket is bound to all addresses.
func everywhere(conn *net.UDPConn) bool {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().IsUnspecified()
}

// tell lets a socket on all addresses tell where datagrams come to.
func (d *Datagrams) tell(fd int) error {
	d.in.controls, d.out.controls = make([]control, batch), make([]control, batch)
	if d.v6 { // of IPv4 too, as mapped addresses
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

// Everywhere reports whether the socket is bound to all addresses: then At tells to which of them a datagram came, and a Departure
// may say from which it is to leave.
func (d *Datagrams) Everywhere() bool { return d.in.controls != nil }

// local reads to which of our addresses a datagram came; zero when it tells of none that can be sent from.
func (d *Datagrams) local(i int) netip.Addr {
	if d.in.controls == nil {
		return netip.Addr{}
	}
	c, size := &d.in.controls[i], d.in.headers[i].header.Controllen
	switch {
	case d.v6:
		if int(size) < unix.CmsgLen(unix.SizeofInet6Pktinfo) || c.header.Level != unix.IPPROTO_IPV6 || c.header.Type != unix.IPV6_PKTINFO {
			return netip.Addr{}
		}
		if a := netip.AddrFrom16(c.info.Addr).Unmap(); !a.IsMulticast() {
			return a
		}
	case int(size) >= unix.CmsgLen(unix.SizeofInet4Pktinfo) && c.header.Level == unix.IPPROTO_IP && c.header.Type == unix.IP_PKTINFO:
		// The specific destination (RFC 1122 §4.1.3.5) is ours even where the datagram went to many.
		return netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(&c.info)).Spec_dst)
	}
	return netip.Addr{}
}

// leaveFrom writes the control data of a datagram that is to leave from an address, and returns its size. Without an address the
// system chooses. The interface is left to the routes.
func (d *Datagrams) leaveFrom(i int, from netip.Addr) int {
	if d.out.controls == nil || !from.IsValid() || !d.v6 && !from.Unmap().Is4() {
		return 0
	}
	c := &d.out.controls[i]
	*c = control{}
	if d.v6 {
		c.header.Level, c.header.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
		c.header.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
		c.info.Addr = from.As16()
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	}
	c.header.Level, c.header.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	c.header.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	(*unix.Inet4Pktinfo)(unsafe.Pointer(&c.info)).Spec_dst = from.As4()
	return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
}
