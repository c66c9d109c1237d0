package telephony

import "net/netip"

// Flow says where a request came from: one connection, or one UDP remote at one listener (RFC 5626 §3).
type Flow struct {
	ID        uint64 // unique within the node, over its restarts too
	Listener  string // the listener's configured name
	Transport Transport
	Remote    netip.AddrPort
}

// RemoteText returns the remote as ip:port, or nothing when it is not known.
func (f Flow) RemoteText() string {
	if !f.Remote.IsValid() {
		return ""
	}
	return f.Remote.String()
}
