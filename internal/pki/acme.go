package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEConfig says whom to ask for a certificate.
type ACMEConfig struct {
	Name      string         // the one DNS name
	Directory string         // URL of the authority's directory
	Email     string         // for the authority's letters; may be empty
	CacheDir  string         // account key and certificates
	Roots     *x509.CertPool // whom to trust as the authority's server; nil: the system's
}

// ACME is a certificate by RFC 8555. The authority sees that the name is ours at any TLS listener on port 443 (RFC 8737)
// or at HTTPHandler on port 80.
type ACME struct {
	name    string
	manager *autocert.Manager
	current atomic.Pointer[tls.Certificate]
	failure atomic.Value // string: why there is none
}

// NewACME returns a source that has no certificate yet: Renew gets one.
func NewACME(c ACMEConfig) *ACME {
	client := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12}},
	}
	a := &ACME{name: c.Name}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(c.CacheDir), HostPolicy: autocert.HostWhitelist(c.Name),
		Email: c.Email, Client: &acme.Client{DirectoryURL: c.Directory, HTTPClient: client, UserAgent: "demarc"},
	}
	a.failure.Store("none was asked for yet")
	return a
}

// HTTPHandler answers the authority on port 80, and sends everybody else to HTTPS.
func (a *ACME) HTTPHandler() http.Handler {
	answers := a.manager.HTTPHandler(nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = host // the manager compares it with the name alone
		}
		answers.ServeHTTP(w, r)
	})
}

// Certificate implements Source, for phones that name no server too. A stranger's handshake never starts an order.
func (a *ACME) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return a.manager.GetCertificate(hello)
	}
	if c := a.current.Load(); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no certificate for %s yet: %s", a.name, a.failure.Load())
}

// Expiry implements Source.
func (a *ACME) Expiry() time.Time {
	if c := a.current.Load(); c != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}

// Renew takes the certificate from memory, the cache or the authority. The manager renews it by itself in its last 30
// days; the next Renew takes the new one into use.
func (a *ACME) Renew(context.Context) error {
	cert, err := a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName: a.name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, // asks for a P-256 key
	})
	if err != nil {
		a.failure.Store(err.Error())
		return fmt.Errorf("pki: certificate for %s: %w (the authority must reach this server by that name, on port 443 or 80)",
			a.name, err)
	}
	a.current.Store(cert)
	return nil
}
