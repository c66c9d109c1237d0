package edge

import (
	"demarc/telephony"
	"demarc/telephony/edge/handshake"
)

// handshakeFailed counts a TLS handshake that failed, and tells of it where somebody can mend it.
func (e *Edge) handshakeFailed(f telephony.Flow, err error) {
	reason := handshake.Reason(err)
	e.count.handshakes.add(Reject{f.Listener, reason}, 1)
	if reason != "closed" && reason != "timeout" && e.logRate.Allow() { // scanners do those all day
		e.log.Warn("TLS handshake failed", "listener", f.Listener, "remote", f.Remote, "reason", reason, "error", err)
	}
	fault := handshake.Fault(reason)
	if h, ok := e.handler.(Handshakes); ok && fault != "" && e.faultRate.Allow() {
		h.HandshakeFailed(f, fault)
	}
}
