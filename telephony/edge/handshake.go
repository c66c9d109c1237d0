package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"demarc/telephony/registrar"
)

func (e *Edge) handshakeFailed(f registrar.Flow, err error) {
	reason := handshakeReason(err)
	e.count.handshakes.add(Reject{f.Listener, reason}, 1)
	if reason != "closed" && reason != "timeout" && e.logRate.Allow() { // scanners do those all day
		e.log.Warn("TLS handshake failed", "listener", f.Listener, "remote", f.Remote, "reason", reason, "error", err)
	}
}

// handshakeReason sorts what support staff must tell apart: a phone that does not trust our CA says so in an alert
// (RFC 8446 §6.2), whose text is all that package tls gives.
func handshakeReason(err error) string {
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &notTLS):
		return "not_tls"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return "closed"
	}
	text := err.Error()
	for _, c := range []struct{ part, reason string }{
		{"unknown certificate authority", "untrusted_ca"},
		{"expired certificate", "certificate_expired"},
		{"bad certificate", "certificate_refused"},
		{"unknown certificate", "certificate_refused"},
		{"unsupported certificate", "certificate_refused"},
		{"protocol version", "version"},
		{"unsupported versions", "version"},
		{"handshake failure", "no_common_cipher"},
		{"no cipher suite", "no_common_cipher"},
		{"connection reset", "closed"},
	} {
		if strings.Contains(text, c.part) {
			return c.reason
		}
	}
	return "other"
}
