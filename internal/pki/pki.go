package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// Lifetimes. A server certificate is renewed when less than renewBefore is left; the files may be read at any time.
const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 397 * 24 * time.Hour
	renewBefore    = 30 * 24 * time.Hour
	clockSkew      = time.Hour // certificates begin this much earlier, for phones whose clock is slow
)

// Authority is the private certificate authority and the server certificate that it signed.
type Authority struct {
	dir    string
	names  []string
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	server atomic.Pointer[tls.Certificate]
}

// LoadOrCreate reads the authority from dir, or makes it. names are the DNS names and IP addresses of the server
// certificate; the first must be a DNS name, because some phones ignore IP addresses in certificates.
func LoadOrCreate(dir string, names []string, now time.Time) (*Authority, error) {
	if len(names) == 0 || net.ParseIP(names[0]) != nil {
		return nil, errors.New("pki: the first name must be a DNS name: some phones ignore IP addresses in certificates")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	a := &Authority{dir: dir, names: names}
	if err := a.loadCA(now); err != nil {
		return nil, err
	}
	return a, a.Renew(now)
}

// CAPEM returns the authority's certificate, to be trusted by phones and browsers.
func (a *Authority) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.ca.Raw})
}

// CADER returns the authority's certificate in DER.
func (a *Authority) CADER() []byte { return a.ca.Raw }

// Pool returns a pool that trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.ca)
	return pool
}

// ServerConfig returns the TLS settings of a listener: TLS 1.2 or later and the newest server certificate.
func (a *Authority) ServerConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.Certificate}
}

// Certificate implements Source.
func (a *Authority) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.server.Load(), nil
}

// Expiry returns when the server certificate ends.
func (a *Authority) Expiry() time.Time { return a.server.Load().Leaf.NotAfter }

// Renew makes a new server certificate when there is none, when it ends soon, or when it lacks a name. Connections that
// stand keep the old one.
func (a *Authority) Renew(now time.Time) error {
	if a.server.Load() == nil {
		if err := a.loadServer(); err != nil {
			return err
		}
	}
	if leaf := a.server.Load(); leaf != nil && a.fits(leaf.Leaf, now) {
		return nil
	}
	return a.issue(now)
}

func (a *Authority) fits(leaf *x509.Certificate, now time.Time) bool {
	if now.Add(renewBefore).After(leaf.NotAfter) || now.Before(leaf.NotBefore) || leaf.CheckSignatureFrom(a.ca) != nil {
		return false
	}
	for _, name := range a.names {
		if leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

func (a *Authority) issue(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: a.names[0]},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(serverLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range a.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.ca, &key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	if err := a.save("server", der, key); err != nil {
		return err
	}
	return a.loadServer()
}

// loadServer leaves none where there is none, or where key and certificate do not belong together: who was killed
// between writing the two must start again, and another pair can always be made.
func (a *Authority) loadServer() error {
	cert, err := tls.LoadX509KeyPair(a.path("server.pem"), a.path("server.key"))
	var unreadable *fs.PathError
	switch {
	case err == nil:
		a.server.Store(&cert)
	case errors.As(err, &unreadable) && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("pki: %w", err)
	}
	return nil
}

func (a *Authority) loadCA(now time.Time) error {
	pair, err := tls.LoadX509KeyPair(a.path("ca.pem"), a.path("ca.key"))
	if errors.Is(err, fs.ErrNotExist) && !a.exists("ca.pem") && !a.exists("ca.key") {
		return a.createCA(now)
	}
	if err != nil {
		return fmt.Errorf("pki: %s: %w (restore ca.pem and ca.key: phones trust this authority)", a.dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return fmt.Errorf("pki: %s is not the certificate of an ECDSA authority", a.path("ca.pem"))
	}
	a.ca, a.key = pair.Leaf, key
	return nil
}

func (a *Authority) createCA(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "demarc CA of " + a.names[0]},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	if err := a.save("ca", der, key); err != nil {
		return err
	}
	a.key = key
	a.ca, err = x509.ParseCertificate(der)
	return err
}

// save writes the key before the certificate: a certificate without its key would look like a lost one.
func (a *Authority) save(name string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
		a.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
}

func (a *Authority) write(name string, content []byte, mode os.FileMode) error {
	tmp := a.path(name + ".new")
	if err := os.WriteFile(tmp, content, mode); err != nil {
		return fmt.Errorf("pki: %w", err)
	}
	return os.Rename(tmp, a.path(name))
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *Authority) exists(name string) bool {
	_, err := os.Stat(a.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}

func serial() *big.Int {
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n.Add(n, big.NewInt(1))
}

// Names returns the names of the server certificate.
func (a *Authority) Names() []string { return slices.Clone(a.names) }
