package media

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"demarc/telephony"
)

// addresses returns what the sockets of a leg are bound to, and what its phone is told.
func (m *Media) addresses(o telephony.MediaOpening) (bind, told netip.Addr, err error) {
	c, peer := &m.config, o.Peer.Unmap()
	bind = c.Address
	if !bind.IsValid() || bind.IsUnspecified() {
		if bind, err = m.routes.towards(peer, time.Now()); err != nil {
			return bind, told, fmt.Errorf("no way to %s: set telephony.media.address: %w", peer, err)
		}
	}
	told = c.Listeners[o.Listener]
	for _, n := range c.Networks {
		if n.Prefix.Contains(peer) {
			told = n.Address
			break
		}
	}
	if !told.IsValid() {
		told = c.Advertise
	}
	if !told.IsValid() {
		told = bind
	}
	return bind.Unmap(), told.Unmap(), nil
}

// routes remember for a moment which of our addresses leads to a peer: the kernel takes a socket to tell.
type routes struct {
	mu    sync.Mutex
	known map[netip.Addr]route
}

type route struct {
	own   netip.Addr
	until time.Time
}

const (
	routeTime = 5 * time.Second // a change of routes is rare
	maxRoutes = 4096            // peers
)

func (r *routes) towards(peer netip.Addr, now time.Time) (netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.known[peer]; ok && now.Before(known.until) {
		return known.own, nil
	}
	own, err := towards(peer)
	if err != nil {
		return own, err
	}
	if r.known == nil || len(r.known) >= maxRoutes {
		r.known = make(map[netip.Addr]route)
	}
	r.known[peer] = route{own, now.Add(routeTime)}
	return own, nil
}

// towards returns our address on the way to the peer, which is what connecting a socket tells without sending anything.
func towards(peer netip.Addr) (netip.Addr, error) {
	family := unix.AF_INET
	if peer.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, address(netip.AddrPortFrom(peer, 9))); err != nil {
		return netip.Addr{}, err
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, err
	}
	switch a := own.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr), nil
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr), nil
	}
	return netip.Addr{}, unix.EAFNOSUPPORT
}
