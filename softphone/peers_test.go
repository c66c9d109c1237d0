package softphone_test

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icholy/digest"
)

// authority is a private CA for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA " + t.Name()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// server returns a certificate for a DNS name that ends at the given time.
func (a *authority) server(t *testing.T, name string, end time.Time) *tls.Config {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
}

// registrar is a small SIP registrar written against the RFC's text alone, so that the phone is not tested with its own
// reading of it.
type registrar struct {
	t     *testing.T
	ln    net.Listener
	serve sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	requests []sipRequest
	// answer returns the response's status line and own headers; nil means digest against ha1.
	answer    func(r sipRequest) string
	realm     string
	ha1       map[string]string // by algorithm
	granted   int
	keepalive int
}

type sipRequest struct {
	n       int // counts from 1 at this registrar
	start   string
	headers map[string][]string
}

func (r sipRequest) header(name string) string {
	if v := r.headers[strings.ToLower(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func newRegistrar(t *testing.T, config *tls.Config) *registrar {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	r := &registrar{
		t: t, ln: ln, conns: map[net.Conn]bool{}, realm: "pbx.test", granted: 600,
		ha1: map[string]string{"MD5": md5HA1("1001", "pbx.test", "right")},
	}
	r.serve.Go(r.accept)
	t.Cleanup(func() {
		ln.Close()
		r.cut()
		r.serve.Wait()
	})
	return r
}

func (r *registrar) port() int { return r.ln.Addr().(*net.TCPAddr).Port }

func (r *registrar) set(change func(*registrar)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// cut breaks every connection.
func (r *registrar) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
}

func (r *registrar) seen() []sipRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sipRequest(nil), r.requests...)
}

func (r *registrar) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.set(func(r *registrar) { r.conns[c] = true })
		r.serve.Go(func() {
			r.converse(c)
			c.Close()
			r.set(func(r *registrar) { delete(r.conns, c) })
		})
	}
}

func (r *registrar) converse(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" { // keep-alive: two of these, answered by one (RFC 5626 §4.4.1)
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			r.set(func(r *registrar) { r.keepalive++ })
			io.WriteString(c, "\r\n")
			continue
		}
		req := sipRequest{start: strings.TrimSpace(line), headers: map[string][]string{}}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			name = strings.ToLower(strings.TrimSpace(name))
			req.headers[name] = append(req.headers[name], strings.TrimSpace(value))
		}
		if _, err := io.WriteString(c, r.respond(req)); err != nil {
			return
		}
	}
}

func (r *registrar) respond(req sipRequest) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	req.n = len(r.requests) + 1
	r.requests = append(r.requests, req)
	var head string
	if r.answer != nil {
		head = r.answer(req)
	}
	if head == "" {
		head = r.judge(req)
	}
	var b strings.Builder
	status, own, _ := strings.Cut(head, "\r\n")
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		value := req.header(name)
		if name == "To" {
			value += ";tag=peer"
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	if own != "" {
		b.WriteString(strings.TrimSuffix(own, "\r\n") + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return b.String()
}

// judge verifies the digest of a REGISTER.
func (r *registrar) judge(req sipRequest) string {
	authorization := req.header("Authorization")
	if authorization == "" {
		return r.challenge("nonce1", "")
	}
	given, err := digest.ParseCredentials(authorization)
	if err != nil {
		return "400 Bad Request"
	}
	algorithm := strings.ToUpper(cmp.Or(given.Algorithm, "MD5"))
	want, err := digest.Digest(
		&digest.Challenge{Realm: given.Realm, Nonce: given.Nonce, Algorithm: given.Algorithm, QOP: []string{"auth"}},
		digest.Options{
			Method: "REGISTER", URI: given.URI, Username: given.Username, A1: r.ha1[algorithm],
			Cnonce: given.Cnonce, Count: given.Nc,
		})
	if err != nil || r.ha1[algorithm] == "" || want.Response != given.Response || given.Realm != r.realm {
		return r.challenge("nonce1", "")
	}
	return r.ok(req)
}

func (r *registrar) ok(req sipRequest) string {
	if req.header("Expires") == "0" {
		return "200 OK"
	}
	return fmt.Sprintf("200 OK\r\nContact: %s;expires=%d\r\nRequire: outbound", req.header("Contact"), r.granted)
}

func (r *registrar) challenge(nonce, extra string) string {
	head := "401 Unauthorized"
	for algorithm := range r.ha1 {
		head += fmt.Sprintf("\r\nWWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\", algorithm=%s, qop=\"auth\"%s",
			r.realm, nonce, algorithm, extra)
	}
	return head
}
