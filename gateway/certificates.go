package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"demarc/internal/pki"
)

// certificates is what this server shows, and whom phones must trust for it.
type certificates struct {
	authority *pki.Authority // our own, for what has nothing else
	source    pki.Source     // of the server certificate
	files     *pki.Files     // nil unless it comes from files
	acme      *pki.ACME      // nil unless it comes by ACME
	caPEM     []byte         // for links, documents and /ca.pem; empty with a public certificate
	caDER     []byte
	https     *tls.Config // of API, pages and service
}

// How often files are looked at, and ACME is asked for what it has.
const (
	filesEvery = time.Second
	acmeEvery  = time.Minute
)

// openCertificates opens the source that the configuration names.
func (g *Gateway) openCertificates() error {
	c, t := &g.certificates, g.cfg.TLS
	var err error
	if c.authority, err = pki.LoadOrCreate(g.cfg.DataFile("pki"), g.certificateNames(), g.now()); err != nil {
		return err
	}
	g.every("certificate renewal", 12*time.Hour, func(context.Context) error { return c.authority.Renew(g.now()) })
	switch {
	case t.CertificateFile != "":
		err = g.openCertificateFiles()
	case g.cfg.PublicName != "":
		err = g.openACME()
	default:
		c.source, c.caPEM, c.caDER = c.authority, c.authority.CAPEM(), c.authority.CADER()
	}
	if err != nil {
		return err
	}
	c.https, err = pki.ServerConfig(c.source, pki.Policy{})
	return err
}

func (g *Gateway) openCertificateFiles() error {
	c, t := &g.certificates, g.cfg.TLS
	var err error
	if c.files, err = pki.OpenFiles(t.CertificateFile, t.KeyFile, g.cfg.ServerName(), g.now); err != nil {
		return fmt.Errorf("tls.certificate_file: %w", err)
	}
	c.source = c.files
	g.every("certificate files", filesEvery, func(context.Context) error {
		changed, err := c.files.Check()
		if changed {
			g.log.Info("a new certificate is in use", "file", t.CertificateFile, "expires", c.files.Expiry())
		}
		return err
	})
	return g.readCA()
}

func (g *Gateway) openACME() error {
	c, t := &g.certificates, g.cfg.TLS
	settings := pki.ACMEConfig{
		Name: g.cfg.PublicName, Directory: t.ACMEDirectory, Email: t.ACMEEmail, CacheDir: g.cfg.DataFile("acme"),
	}
	if t.ACMECAFile != "" {
		content, err := os.ReadFile(t.ACMECAFile)
		if err != nil {
			return fmt.Errorf("tls.acme_ca_file: %w", err)
		}
		settings.Roots = x509.NewCertPool()
		if !settings.Roots.AppendCertsFromPEM(content) {
			return fmt.Errorf("tls.acme_ca_file: %s holds no certificate in PEM", t.ACMECAFile)
		}
	}
	c.acme = pki.NewACME(settings)
	c.source = c.acme
	return g.readCA()
}

// startACME asks for the certificate once the listeners are open at which the authority looks for us.
func (g *Gateway) startACME(context.Context) error {
	c := &g.certificates
	if c.acme == nil {
		return nil
	}
	if g.listeners.acme != nil {
		g.serveHTTP("acme", g.listeners.acme, nil, c.acme.HTTPHandler())
	}
	g.every("certificate by ACME", acmeEvery, c.acme.Renew)
	return nil
}

// readCA reads whom phones must be told to trust, if anybody.
func (g *Gateway) readCA() error {
	c, path := &g.certificates, g.cfg.TLS.CAFile
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("tls.ca_file: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return fmt.Errorf("tls.ca_file: %s holds no certificate in PEM", path)
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !ca.IsCA {
		return fmt.Errorf("tls.ca_file: the first certificate of %s is not a CA's", path)
	}
	c.caPEM, c.caDER = content, ca.Raw
	return nil
}

// unready says what is wrong with the certificate.
func (c *certificates) unready(now time.Time) error {
	switch expiry := c.source.Expiry(); {
	case expiry.IsZero():
		return errors.New("the ACME authority has given no certificate yet; the log says why")
	case !expiry.After(now):
		return errors.New("the server certificate has expired")
	}
	return nil
}
