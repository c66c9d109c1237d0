package pki_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"demarc/internal/pki"
)

func TestPolicies(t *testing.T) {
	authority, err := pki.LoadOrCreate(t.TempDir(), names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	const aes256 = tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
	newest := func(*tls.Config) {}
	only := func(version uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, version }
	}
	for name, c := range map[string]struct {
		policy  pki.Policy
		client  func(*tls.Config)
		version uint16 // 0: the handshake fails
		suite   uint16 // 0: any
	}{
		"default":           {pki.Policy{}, newest, tls.VersionTLS13, 0},
		"classical keys":    {pki.Policy{Classical: true}, newest, tls.VersionTLS13, 0},
		"default, old":      {pki.Policy{}, only(tls.VersionTLS12), tls.VersionTLS12, 0},
		"default, too old":  {pki.Policy{}, only(tls.VersionTLS11), 0, 0},
		"1.3 only":          {pki.Policy{Min: "1.3"}, newest, tls.VersionTLS13, 0},
		"1.3 only, old":     {pki.Policy{Min: "1.3"}, only(tls.VersionTLS12), 0, 0},
		"1.2 only":          {pki.Policy{Max: "1.2"}, newest, tls.VersionTLS12, 0},
		"one suite":         {pki.Policy{Max: "1.2", Suites: []string{tls.CipherSuiteName(aes256)}}, newest, tls.VersionTLS12, aes256},
		"AES-256":           {pki.Policy{AES256: true}, newest, tls.VersionTLS12, aes256},
		"AES-256, only 1.3": {pki.Policy{AES256: true}, func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, 0, 0},
		"AES-256, only AES-128": {pki.Policy{AES256: true}, func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}, 0, 0},
		"a protocol of its own": {pki.Policy{}, func(c *tls.Config) { c.NextProtos = []string{"sip"} }, tls.VersionTLS13, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := pki.ServerConfig(authority, c.policy)
			if err != nil {
				t.Fatal(err)
			}
			if server.ClientAuth != tls.NoClientCert {
				t.Error("it asks for a client certificate")
			}
			client := &tls.Config{RootCAs: authority.Pool(), ServerName: names[0], MinVersion: tls.VersionTLS12}
			c.client(client)
			state, err := handshake(t, server, client)
			switch {
			case c.version == 0 && err == nil:
				t.Errorf("version %x, suite %s", state.Version, tls.CipherSuiteName(state.CipherSuite))
			case err == nil && state.CurveID == tls.X25519MLKEM768 == c.policy.Classical && state.Version == tls.VersionTLS13:
				t.Errorf("keys agreed by %v", state.CurveID)
			case c.version != 0 && (err != nil || state.Version != c.version || c.suite != 0 && state.CipherSuite != c.suite):
				t.Errorf("version %x, suite %s, %v", state.Version, tls.CipherSuiteName(state.CipherSuite), err)
			}
		})
	}
}

func TestPoliciesThatCannotBe(t *testing.T) {
	authority, err := pki.LoadOrCreate(t.TempDir(), names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]pki.Policy{
		`version "1.1"`:      {Min: "1.1"},
		`version "2"`:        {Max: "2"},
		"below the lowest":   {Min: "1.3", Max: "1.2"},
		"use any of TLS_":    {Suites: []string{"TLS_RSA_WITH_3DES_EDE_CBC_SHA"}},
		`suite "TLS_AES_25`:  {Suites: []string{"TLS_AES_256_GCM_SHA384"}},
		"for TLS 1.2 alone":  {Min: "1.3", Suites: []string{"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}},
		"name neither 1.3 n": {Max: "1.3", AES256: true},
	} {
		if _, err := pki.ServerConfig(authority, p); !errors.Is(err, pki.ErrPolicy) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
}
