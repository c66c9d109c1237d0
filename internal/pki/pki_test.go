package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"demarc/internal/pki"
)

var names = []string{"localhost", "127.0.0.1"}

func handshake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = tls.Server(conn, server).Handshake() // the client's view is what is asserted
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	<-done
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

func TestServerIsTrustedByItsCAAlone(t *testing.T) {
	a, err := pki.LoadOrCreate(t.TempDir(), names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := handshake(t, a.ServerConfig(), &tls.Config{RootCAs: a.Pool(), ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t, a.ServerConfig(), &tls.Config{RootCAs: a.Pool(), ServerName: "other.example"}); err == nil {
		t.Error("a wrong name was accepted")
	}
	if _, err := handshake(t, a.ServerConfig(), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}); err == nil {
		t.Error("a stranger's CA was accepted")
	}
	if a.ServerConfig().ClientAuth != tls.NoClientCert {
		t.Error("the phones' listener asks for a client certificate")
	}
}

func TestFilesAreKeptAndPrivate(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first, err := pki.LoadOrCreate(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	second, err := pki.LoadOrCreate(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.CADER(), second.CADER()) || !first.Expiry().Equal(second.Expiry()) {
		t.Error("the second start made new certificates")
	}
	for _, key := range []string{"ca.key", "server.key"} {
		st, err := os.Stat(filepath.Join(dir, key))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", key, st, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.LoadOrCreate(dir, names, now); err == nil {
		t.Error("a lost CA key was replaced: phones would stop trusting the server without a word")
	}
}

func TestServerCertificateIsRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a, err := pki.LoadOrCreate(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	expiry := a.Expiry()
	if err := a.Renew(expiry.Add(-31 * 24 * time.Hour)); err != nil || !a.Expiry().Equal(expiry) {
		t.Errorf("renewed too early: %v, %v", a.Expiry(), err)
	}
	later := expiry.Add(-29 * 24 * time.Hour)
	if err := a.Renew(later); err != nil || !a.Expiry().After(expiry) {
		t.Errorf("not renewed: %v, %v", a.Expiry(), err)
	}
	renamed, err := pki.LoadOrCreate(dir, []string{"sip.example.org"}, later)
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{RootCAs: a.Pool(), ServerName: "sip.example.org", Time: func() time.Time { return later }}
	if _, err := handshake(t, renamed.ServerConfig(), client); err != nil {
		t.Errorf("new name under the old CA: %v", err)
	}
}

// TestKilledWhileRenewing: the new key stands on the disk, and the certificate is still the old one's.
func TestKilledWhileRenewing(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a, err := pki.LoadOrCreate(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if _, err := pki.LoadOrCreate(other, names, now); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(other, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	next, err := pki.LoadOrCreate(dir, names, now)
	if err != nil {
		t.Fatalf("no start after that: %v", err)
	}
	if _, err := handshake(t, next.ServerConfig(), &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"}); err != nil {
		t.Errorf("the certificate made again: %v", err)
	}
}
