package pki

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// Source is where a server certificate comes from.
type Source interface {
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	Expiry() time.Time // zero while there is none
}

// Policy says by which rules one listener speaks TLS. The zero value is TLS 1.2 or later with Go's choice of suites.
type Policy struct {
	Min, Max  string   // "1.2" or "1.3"; empty: 1.2, and the newest
	Suites    []string // for TLS 1.2, by their IANA names; empty: Go's choice. Those of TLS 1.3 cannot be chosen.
	Classical bool     // no post-quantum hybrids in the key exchange: half the price of a new connection
	AES256    bool     // AES-256-GCM alone, which turns TLS 1.3 off: its suites cannot be chosen in Go
}

// ErrPolicy is wrapped by what is said about a policy that cannot be.
var ErrPolicy = errors.New("TLS policy")

// ServerConfig returns the TLS settings of a listener that shows the source's certificate.
func ServerConfig(from Source, p Policy) (*tls.Config, error) {
	c := &tls.Config{GetCertificate: from.Certificate}
	var err error
	if c.MinVersion, err = version(p.Min, tls.VersionTLS12); err != nil {
		return nil, err
	}
	if c.MaxVersion, err = version(p.Max, 0); err != nil {
		return nil, err
	}
	if p.Classical {
		c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	}
	if p.AES256 {
		if p.Min == "1.3" || p.Max == "1.3" || len(p.Suites) > 0 {
			return nil, fmt.Errorf("%w: AES-256 alone leaves TLS 1.2 and its own suites; name neither 1.3 nor suites", ErrPolicy)
		}
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		}
	}
	if c.MaxVersion != 0 && c.MaxVersion < c.MinVersion {
		return nil, fmt.Errorf("%w: the highest version (%s) is below the lowest (%s)", ErrPolicy, p.Max, p.Min)
	}
	if len(p.Suites) > 0 {
		if c.CipherSuites, err = suites(p.Suites); err != nil {
			return nil, err
		}
		if p.Min == "1.3" {
			return nil, fmt.Errorf("%w: suites can be named for TLS 1.2 alone", ErrPolicy)
		}
	}
	answerChallenges(c)
	return c, nil
}

// answerChallenges lets an ACME authority look at the listener (RFC 8737). Nobody else sees that protocol: a phone that
// names protocols of its own must find a listener that does not care.
func answerChallenges(c *tls.Config) {
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
			return nil, nil
		}
		return &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate, NextProtos: []string{acme.ALPNProto},
		}, nil
	}
}

func version(name string, otherwise uint16) (uint16, error) {
	switch name {
	case "":
		return otherwise, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%w: version %q: use 1.2 or 1.3; older ones are broken", ErrPolicy, name)
}

// suites finds suites of TLS 1.2 by name; those that Go calls insecure are refused.
func suites(names []string) ([]uint16, error) {
	var ids []uint16
	for _, name := range names {
		i := slices.IndexFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool {
			return s.Name == name && slices.Contains(s.SupportedVersions, tls.VersionTLS12)
		})
		if i < 0 {
			return nil, fmt.Errorf("%w: suite %q: use any of %s", ErrPolicy, name, strings.Join(suiteNames(), ", "))
		}
		ids = append(ids, tls.CipherSuites()[i].ID)
	}
	return ids, nil
}

func suiteNames() []string {
	var names []string
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			names = append(names, s.Name)
		}
	}
	return names
}
