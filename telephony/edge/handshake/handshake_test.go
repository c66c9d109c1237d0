package handshake_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"demarc/telephony/edge/handshake"
)

// certificate returns one for localhost that signs itself, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// fails returns the error of a server whose peer does that.
func fails(t *testing.T, server *tls.Config, peer func(nc net.Conn)) error {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = client.Close() }()
		peer(client)
	}()
	err = tls.Server(nc, server).HandshakeContext(ctx)
	_ = nc.Close()
	<-done
	if err == nil {
		t.Fatal("the handshake did not fail")
	}
	return err
}

func TestReasons(t *testing.T) {
	pair, roots := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{pair}}
	old := &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}
	speaks := func(c *tls.Config) func(net.Conn) {
		return func(nc net.Conn) {
			_ = tls.Client(nc, c).Handshake()
			_, _ = io.Copy(io.Discard, nc) // what is not read would end the connection before the alert is
		}
	}
	says := func(text string) func(net.Conn) {
		return func(nc net.Conn) {
			_, _ = io.WriteString(nc, text)
			_, _ = io.Copy(io.Discard, nc)
		}
	}
	alerts := func(number byte) func(net.Conn) { return says(string([]byte{21, 3, 1, 0, 2, 2, number})) }
	for name, c := range map[string]struct {
		server *tls.Config
		peer   func(net.Conn)
		reason string
		fault  string // a part of it
	}{
		"another authority": {server, speaks(&tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}), "certificate_refused",
			"does not trust the CA"},
		"another name":               {server, speaks(&tls.Config{ServerName: "sip.example.com", RootCAs: roots}), "certificate_refused", "name"},
		"unknown_ca (RFC 8446 §6.2)": {server, alerts(48), "untrusted_ca", "Install that CA"},
		"certificate_expired":        {server, alerts(45), "certificate_expired", "Renew"},
		"certificate_unknown":        {server, alerts(46), "certificate_refused", "does not trust the CA"},
		"unsupported_certificate":    {server, alerts(43), "certificate_refused", "does not trust the CA"},
		"internal_error":             {server, alerts(80), "other", ""},
		"version": {server, speaks(&tls.Config{ServerName: "localhost", RootCAs: roots, MinVersion: tls.VersionTLS10,
			MaxVersion: tls.VersionTLS11}), "version", "tls_min"},
		"cipher": {old, speaks(&tls.Config{ServerName: "localhost", RootCAs: roots, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}), "no_common_cipher", "tls_suites"},
		"no TLS":  {server, says("REGISTER sip:example.com SIP/2.0\r\n\r\n"), "not_tls", ""},
		"nothing": {server, func(net.Conn) {}, "closed", ""},
		"silence": {server, says(""), "timeout", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := fails(t, c.server, c.peer)
			reason := handshake.Reason(err)
			fault := handshake.Fault(reason)
			if reason != c.reason || (fault == "") != (c.fault == "") || !strings.Contains(fault, c.fault) {
				t.Errorf("%v: %q, want %q; told: %q, want %q", err, reason, c.reason, fault, c.fault)
			}
		})
	}
}
