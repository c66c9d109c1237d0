// Package handshake owns the words for TLS handshakes that fail: a short reason for counters and logs, and what support staff is told.
//
// The certificates are internal/pki's. No compatibility promise.
package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
)

// Reason sorts what support staff must tell apart, in a word of a few: a phone that does not trust our CA says so in an alert
// (RFC 8446 §6.2), whose text is all that package tls gives.
func Reason(err error) string {
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

// Fault says to support staff what failed and what to do; "it" is the phone. What only the peer can know is left out: then it is
// empty.
func Fault(reason string) string {
	switch reason {
	case "untrusted_ca":
		return "it does not trust the authority that signed our certificate. Install that CA in the phone, or enrol it again."
	case "certificate_expired":
		return "it says that our certificate has expired. Renew the certificate, or set the clock of the phone."
	case "certificate_refused":
		return "it refuses our certificate. It does not trust the CA, or reaches us by a name that is not in the certificate."
	case "version":
		return "it and this listener have no TLS version in common. Update the phone, or lower tls_min of the listener."
	case "no_common_cipher":
		return "it and this listener have no cipher suite in common. Update the phone, or change tls_policy or tls_suites of the " +
			"listener."
	}
	return ""
}
