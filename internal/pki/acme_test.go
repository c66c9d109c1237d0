package pki_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"demarc/internal/pki"
)

const publicName = "sip.demarc.test"

// pebble is Let's Encrypt's own ACME server for tests, built from the version that tools/go.mod pins.
type pebble struct {
	directory string
	roots     *x509.CertPool // of its own server
	client    *http.Client
	admin     string
}

func startPebble(t *testing.T, tlsPort, httpPort int) *pebble {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "pebble")
	build := exec.Command("go", "build", "-o", program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = "../../tools"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build pebble: %v\n%s", err, out)
	}
	authority, err := pki.LoadOrCreate(dir, []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := &pebble{roots: authority.Pool(), admin: "https://" + freePort(t)}
	listen := freePort(t)
	p.directory = "https://" + listen + "/dir"
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}}
	t.Cleanup(transport.CloseIdleConnections)
	p.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": p.admin[len("https://"):],
		"certificate": filepath.Join(dir, "server.pem"), "privateKey": filepath.Join(dir, "server.key"),
		"httpPort": httpPort, "tlsPort": tlsPort,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.Command(program, "-config", path, "-strict", "-dnsserver", nameService(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pebble said:\n%s", output.String())
		}
	})
	p.get(t, p.directory)
	return p
}

// get asks until there is an answer: pebble may still be starting.
func (p *pebble) get(t *testing.T, url string) []byte {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		reply, err := p.client.Get(url)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(reply.Body)
		_ = reply.Body.Close()
		if err == nil && reply.StatusCode == http.StatusOK {
			return body
		}
	}
	t.Fatalf("pebble does not answer at %s", url)
	return nil
}

// freePort returns an address that nobody listens at, below the ports that the kernel gives to those who ask for none.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 9500+given.Add(1)%100)
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port from 9500 to 9599 is free")
	return ""
}

var given atomic.Int32

// nameService answers over TCP, as pebble asks, that every name is at 127.0.0.1.
func nameService(t *testing.T) string {
	t.Helper()
	return serveTCP(t, func(nc net.Conn) {
		var size uint16
		for binary.Read(nc, binary.BigEndian, &size) == nil {
			raw := make([]byte, size)
			var m dnsmessage.Message
			if _, err := io.ReadFull(nc, raw); err != nil || m.Unpack(raw) != nil || len(m.Questions) == 0 {
				return
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			raw, err := m.Pack()
			if err != nil {
				return
			}
			_, _ = nc.Write(binary.BigEndian.AppendUint16(nil, uint16(len(raw))))
			_, _ = nc.Write(raw)
		}
	}).String()
}

// serveTCP runs serve for every connection until the test's end.
func serveTCP(t *testing.T, serve func(net.Conn)) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = nc.Close() }()
				_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
				serve(nc)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	return l.Addr().(*net.TCPAddr)
}

// The whole of RFC 8555 with a foreign server: once seen at a TLS listener of phones (RFC 8737), once over HTTP on the
// port for that.
func TestACME(t *testing.T) {
	for _, by := range []string{"tls-alpn-01", "http-01"} {
		t.Run(by, func(t *testing.T) {
			var source *pki.ACME
			var mu sync.Mutex // the listener's port is known before the source is made
			config := func() *tls.Config {
				mu.Lock()
				defer mu.Unlock()
				c, err := pki.ServerConfig(source, pki.Policy{})
				if err != nil {
					t.Error(err)
				}
				return c
			}
			listener := serveTCP(t, func(nc net.Conn) { _ = tls.Server(nc, config()).Handshake() })
			web, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			tlsPort := listener.Port
			if by == "http-01" {
				tlsPort = 1 // nobody there
			}
			server := startPebble(t, tlsPort, web.Addr().(*net.TCPAddr).Port)
			mu.Lock()
			settings := pki.ACMEConfig{
				Name: publicName, Directory: server.directory, Email: "admin@example.org", CacheDir: t.TempDir(), Roots: server.roots,
			}
			source = pki.NewACME(settings)
			mu.Unlock()
			var answers http.Server
			if by == "http-01" {
				answers.Handler = source.HTTPHandler()
			}
			served := make(chan struct{})
			go func() { defer close(served); _ = answers.Serve(web) }()
			t.Cleanup(func() { _ = answers.Close(); <-served })

			client := &tls.Config{ServerName: publicName, RootCAs: x509.NewCertPool()}
			client.RootCAs.AppendCertsFromPEM(server.get(t, server.admin+"/roots/0"))
			if _, err := tls.Dial("tcp", listener.String(), client); err == nil || !source.Expiry().IsZero() {
				t.Error("there is a certificate before anybody asked for one")
			}
			if err := source.Renew(context.Background()); err != nil {
				t.Fatal(err)
			}
			for _, proto := range []string{"", "sip", "http/1.1"} {
				if client.NextProtos = nil; proto != "" {
					client.NextProtos = []string{proto}
				}
				c, err := tls.Dial("tcp", listener.String(), client)
				if err != nil {
					t.Fatalf("protocol %q: %v", proto, err)
				}
				if got := c.ConnectionState().PeerCertificates[0].NotAfter; !got.Equal(source.Expiry()) {
					t.Errorf("serves until %s, expiry %s", got, source.Expiry())
				}
				_ = c.Close()
			}
			again := pki.NewACME(settings) // after a restart it comes from the cache
			if err := again.Renew(context.Background()); err != nil || !again.Expiry().Equal(source.Expiry()) {
				t.Errorf("%v, %s", err, again.Expiry())
			}
		})
	}
}

func TestACMEThatFails(t *testing.T) {
	source := pki.NewACME(pki.ACMEConfig{
		Name: publicName, Directory: "https://" + freePort(t) + "/dir", CacheDir: t.TempDir(),
	})
	if err := source.Renew(t.Context()); err == nil {
		t.Error("no error")
	}
	if _, err := source.Certificate(&tls.ClientHelloInfo{ServerName: publicName}); err == nil || !source.Expiry().IsZero() {
		t.Errorf("a certificate from nowhere, %v", err)
	}
}
