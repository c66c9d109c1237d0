package media

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// socket is one port. What every packet needs stands first, close together.
type socket struct {
	fd        int
	stream    *stream
	slot      int32 // in its loop's table
	control   bool  // RTCP's own
	linked    bool  // connected to the phone: what comes from elsewhere from then on, the kernel refuses
	age       uint8 // seconds since, up to grown
	port      uint16
	at        netip.Addr // that it is bound to
	connected netip.AddrPort
	place     place    // where the phone is
	to        sockaddr // the same for the kernel, when not connected
}

// grown is the age in seconds of a connected socket by which everything that came before it was connected has been read, so that
// nobody needs to ask any more where a packet is from: its queue holds a few hundred, and one is read from it every tick at least.
const grown = 2

// expedited is the DSCP of voice (RFC 4594 §4.1), as it stands in the header.
const expedited = 46 << 2

// listen binds a socket to an address and port.
func listen(at netip.AddrPort) (*socket, error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if family == unix.AF_INET {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, expedited) // a wish: packets flow without it too
	} else {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, expedited)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err := unix.Bind(fd, address(at)); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &socket{fd: fd, port: at.Port(), at: at.Addr()}, nil
}

// pair binds the two ports of a pair.
func pair(at netip.Addr, even uint16) (media, control *socket, err error) {
	if media, err = listen(netip.AddrPortFrom(at, even)); err != nil {
		return nil, nil, err
	}
	if control, err = listen(netip.AddrPortFrom(at, even+1)); err != nil {
		media.close()
		return nil, nil, err
	}
	control.control = true
	return media, control, nil
}

// takePair takes a pair of the pool that nobody else holds.
func (p *pool) takePair(at netip.Addr) (media, control *socket, err error) {
	all, _ := p.size()
	for range all {
		even, ok := p.take()
		if !ok {
			return nil, nil, ErrNoPorts
		}
		media, control, err = pair(at, even)
		if err == nil {
			return media, control, nil
		}
		p.give(even)
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			return nil, nil, fmt.Errorf("media port %s: %w", netip.AddrPortFrom(at, even), err)
		}
	}
	return nil, nil, ErrNoPorts
}

// close closes the port, once.
func (s *socket) close() {
	_ = unix.Close(s.fd) // nothing is buffered that could be lost
	s.fd = -1
}

// send sends to where the phone is. What the kernel cannot take is lost, as on any wire.
func (s *socket) send(b []byte) {
	switch {
	case s.linked:
		send(s.fd, b, nil)
	case s.place.target().IsValid():
		send(s.fd, b, &s.to)
	}
}

// sendTo sends to whoever asked, also when that is not where the phone is.
func (s *socket) sendTo(b []byte, to netip.AddrPort) {
	var raw sockaddr
	raw.set(to)
	send(s.fd, b, &raw)
}

// settle brings the kernel up to date on where the phone is.
func (s *socket) settle(exclusive bool) {
	if to := s.place.target(); to.IsValid() {
		s.to.set(to)
	}
	want := netip.AddrPort{}
	if exclusive {
		want = s.place.found
	}
	if want == s.connected {
		return
	}
	s.connected, s.linked, s.age = netip.AddrPort{}, false, 0
	_ = connect(s.fd, s.connected)                    // to nobody first, which does not fail: it may be connected elsewhere
	if want.IsValid() && connect(s.fd, want) == nil { // no route: it stays open, and the next change tries again
		s.connected, s.linked = want, true
	}
}
