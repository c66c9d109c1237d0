package telephony

import "net/netip"

// Flow says where a request came from: one connection, or the two addresses that datagrams go between at one UDP listener (RFC 5626 §3).
type Flow struct {
	ID        uint64 // unique within the node, over its restarts too
	Listener  string // the listener's configured name
	Transport Transport
	Remote    netip.AddrPort
	Local     netip.Addr // to which of our addresses datagrams come, at a UDP listener that is on all of them; else zero
}

// Same reports whether two stand for the same way: streams by their number, and UDP by its addresses, for its numbers are forgotten now
// and then. Over UDP nobody is the same who has no address. Our own address counts, for a NAT may give one of its ports to two phones
// that write to different addresses, but where it was not noted.
func (f Flow) Same(other Flow) bool {
	if f.Transport.Stream() {
		return f.ID == other.ID
	}
	return f.Listener == other.Listener && f.Remote == other.Remote && f.Remote.IsValid() &&
		(f.Local == other.Local || !f.Local.IsValid() || !other.Local.IsValid())
}

// RemoteText returns the remote as ip:port, or nothing when it is not known.
func (f Flow) RemoteText() string {
	if !f.Remote.IsValid() {
		return ""
	}
	var room [64]byte // more than any address has
	return string(f.Remote.AppendTo(room[:0]))
}
