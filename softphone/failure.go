package softphone

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"demarc/telephony/sip"
)

// Errors that a caller tells apart with errors.Is.
var (
	ErrLink     = errors.New("the enrolment link is not valid")
	ErrRefused  = errors.New("the server refused the enrolment code")
	ErrPending  = errors.New("there is no SIP credential for this device yet")
	ErrRevoked  = errors.New("this device is no longer enrolled")
	ErrBadReply = errors.New("the server's reply makes no sense")
)

// Cause says at which layer a registration failed.
type Cause string

// The causes.
const (
	CauseSIP          Cause = "sip"           // the registrar answered with a failure: see Code
	CauseTLSUntrusted Cause = "tls_untrusted" // its certificate is signed by nobody we trust
	CauseTLSExpired   Cause = "tls_expired"   // its certificate is expired or not yet valid
	CauseTLSName      Cause = "tls_name"      // its certificate is for another name
	CauseTimeout      Cause = "timeout"       // no answer
	CauseRefused      Cause = "refused"       // nothing listens there; with a Code, the HTTP status by which the server refused
	CauseClosed       Cause = "closed"        // the connection was closed by the other side, or broke
	CauseDNS          Cause = "dns"           // the name does not resolve
	CauseClient       Cause = "client"        // nothing was sent: the account cannot be registered as it is
)

// Failure is why a registration, or a request to the server, did not succeed.
type Failure struct {
	Cause     Cause
	Code      int    // SIP or HTTP status; 0 when no answer came
	Text      string // plain words: what is wrong, with the peer's own reason, and what to do next
	Registrar string // host:port tried; empty when the server of the client API is meant

	said       string // the peer's own words, where it answered: what the server is told beside Code
	retryAfter time.Duration
	err        error
}

// Error returns the text.
func (f *Failure) Error() string {
	if f.Registrar == "" {
		return f.Text
	}
	return f.Registrar + ": " + f.Text
}

// Unwrap returns the error underneath, if any.
func (f *Failure) Unwrap() error { return f.err }

// Unreachable reports whether no answer came at all: the network, the name or the certificate is at fault.
func (f *Failure) Unreachable() bool { return f.Code == 0 && f.Cause != CauseClient }

// refusedCredential reports whether the PBX knows the credential and does not want it: another address would say the
// same, and asking on could lock the account.
func (f *Failure) refusedCredential() bool {
	return f.Code == 401 || f.Code == 407 || f.Code == 403
}

// asFailure returns the failure that err is or wraps.
func asFailure(err error) *Failure {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Cause: CauseClient, Text: err.Error(), err: err}
	}
	return f
}

// networkFailure explains an error from below the protocol. host is the name that was asked for.
func networkFailure(err error, host string) *Failure {
	f := &Failure{err: err}
	var (
		untrusted x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		dns       *net.DNSError
		timeout   net.Error
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &name):
		f.Cause = CauseTLSName
		f.Text = fmt.Sprintf("the certificate is not for %s: correct the address in the settings, or the certificate", host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		f.Cause = CauseTLSExpired
		f.Text = "the certificate is expired or not yet valid: renew it, and check this device's clock"
	case errors.As(err, &untrusted), errors.As(err, &invalid), errors.As(err, new(*tls.CertificateVerificationError)):
		f.Cause = CauseTLSUntrusted
		f.Text = "the certificate is signed by an authority that this device does not trust: enrol again to get the right one"
	case errors.As(err, &dns):
		f.Cause = CauseDNS
		f.Text = fmt.Sprintf("the name %s does not resolve: check the address and this device's DNS", host)
	case errors.As(err, &alert):
		f.Cause = CauseRefused
		f.Text = "TLS was refused by the other side: " + plain(alert.Error(), 200)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, sip.ErrTimeout), errors.Is(err, sip.ErrNoPong),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.Cause = CauseTimeout
		f.Text = "no answer: check the network, the firewall and the address"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Cause = CauseRefused
		f.Text = "connection refused: nothing listens there; check address and port, and whether the service runs"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed), errors.Is(err, sip.ErrClosed):
		f.Cause = CauseClosed
		f.Text = "the other side closed the connection"
	default:
		f.Cause = CauseClosed
		f.Text = "no connection: " + plain(err.Error(), 200)
	}
	return f
}

// plain makes a peer's words fit for a terminal, a log and the report: they may hold anything, of any length.
func plain(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// sipText is what the user should read for a SIP status; said are the peer's own words.
func sipText(code int, said string) string {
	text := fmt.Sprintf("%d %s", code, said)
	if hint := sipHint(code); hint != "" {
		text += ": " + hint
	}
	return text
}

// sipWords are the peer's own words: its reason phrase and its Warning.
func sipWords(reason, warning string) string {
	said := plain(reason, 60)
	if warning != "" {
		said += " (" + plain(warning, 200) + ")"
	}
	return said
}

func sipHint(code int) string {
	switch {
	case code == 401 || code == 407:
		return "the PBX does not accept the SIP credential; sync this user, so that the phone fetches it again"
	case code == 403:
		return "the PBX refuses this phone by licence, policy or address; ask the PBX's admin"
	case code == 404:
		return "the PBX knows no such extension; check which extension this user is mapped to"
	case code == 408:
		return "the PBX got no answer in time; check the network behind it"
	case code == 423:
		return "the PBX wants a longer registration time than it told; check its settings"
	case code == 480 || code == 503:
		return "the PBX is busy or down; the phone tries again by itself"
	case code >= 500:
		return "the PBX has a fault; the phone tries again by itself"
	}
	return ""
}
