package edge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"demarc/telephony/edge/transport"
)

// loss is a datagram that the system would not take.
type loss struct {
	pair
	err error
}

// maxLosses is how many wait to be looked into. What finds no place is counted, and its sender has timers.
const maxLosses = 256

// errAddressGone says that a phone wrote to an address which the host does not have any more.
var errAddressGone = fmt.Errorf("%w: our address that the phone writes to is not on this host any more", ErrFlowGone)

// lost takes note of a datagram that was not sent. Others wait to send meanwhile: what it means is found out by a goroutine for that.
func (s *socket) lost(d transport.Departure) {
	s.edge.reject(s.cfg, "write")
	select {
	case s.losses <- loss{pair{d.To, d.From}, d.Err}:
	default:
	}
}

func (s *socket) lookInto() {
	for {
		select {
		case l := <-s.losses:
			s.understand(l)
		case <-s.edge.stopping:
			return
		}
	}
}

// understand tells operators what was not sent, and ends the flow when the cause lasts: its address on our side has gone, as that of a
// pair of hosts does when the other one takes over. Anything else may pass, and requests are sent again.
func (s *socket) understand(l loss) {
	defer s.edge.recovered("losses")
	if errors.Is(l.err, net.ErrClosed) {
		return
	}
	gone := l.local.IsValid() && !isHere(l.local)
	if gone {
		s.edge.reject(s.cfg, "address_gone")
		s.gone.Set(l.local, time.Now())
	}
	if s.edge.logRate.Allow() {
		s.edge.log.Warn("a SIP datagram could not be sent", "listener", s.cfg.Name, "to", l.remote, "from", l.local, "error", l.err, "address_gone", gone)
	}
	if f, _ := s.flows.find(l.pair); gone && f != nil {
		s.edge.clients.FlowGone(f.key)
		s.edge.signalling.flowGone(f)
	}
}

// hasGone reports whether an address of ours was found gone a moment ago. Then it is tried again: it may be back.
func (s *socket) hasGone(local netip.Addr) bool {
	if !local.IsValid() {
		return false
	}
	at, found := s.gone.Find(local)
	return found && time.Since(at) < localAge
}

// isHere reports whether an address is one of this host's. That it can be bound would prove nothing: hosts of a pair are often
// let bind the other one's (ip_nonlocal_bind).
func isHere(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil || a.IsLoopback() { // there are more of those than are listed
		return true
	}
	return slices.ContainsFunc(all, func(one net.Addr) bool {
		listed, ok := one.(*net.IPNet)
		if !ok {
			return false
		}
		its, _ := netip.AddrFromSlice(listed.IP)
		return its.Unmap() == a
	})
}
