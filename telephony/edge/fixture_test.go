package edge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/wire"
)

// fake answers every REGISTER with 200 and its contacts, and notes what it saw.
type fake struct {
	mu       sync.Mutex
	requests []*registration.Request
	closed   []telephony.Flow
	decide   func(req *registration.Request, reply func(registration.Reply))
	closing  func(f telephony.Flow)
}

func (f *fake) Register(_ context.Context, req *registration.Request, reply func(registration.Reply)) {
	f.mu.Lock()
	f.requests = append(f.requests, req)
	f.mu.Unlock()
	if f.decide != nil {
		f.decide(req, reply)
		return
	}
	accept(req, reply)
}

func (f *fake) FlowClosed(flow telephony.Flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = append(f.closed, flow)
	if f.closing != nil {
		f.closing(flow)
	}
}

func (f *fake) seen() ([]*registration.Request, []telephony.Flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*registration.Request(nil), f.requests...), append([]telephony.Flow(nil), f.closed...)
}

func accept(req *registration.Request, reply func(registration.Reply)) {
	r := registration.Reply{Status: 200, Sender: registration.Proven, Path: req.Path}
	for _, c := range req.Contacts {
		r.Bindings = append(r.Bindings, registration.ReplyBinding{
			URI: c.URI, Instance: c.Instance, RegID: c.RegID, Q: c.Q, Expires: 600,
		})
	}
	reply(r)
}

// running is an edge with a listener of each kind.
type running struct {
	*edge.Edge
	t     *testing.T
	stop  func()
	roots *x509.CertPool
	logs  *strings.Builder
}

func start(t *testing.T, h edge.Handler, limits edge.Limits) *running {
	t.Helper()
	return startAt(t, h, limits, nil)
}

// startAt starts with a clock of the test's own for what takes hours.
func startAt(t *testing.T, h edge.Handler, limits edge.Limits, now func() time.Time) *running {
	t.Helper()
	return startWith(t, h, limits, now, everyKind()...)
}

func everyKind() []edge.Listener {
	return []edge.Listener{
		{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"},
		{Name: "tcp", Transport: telephony.TCP, Address: "127.0.0.1:0"},
		{Name: "tls", Transport: telephony.TLS, Address: "127.0.0.1:0"},
		{Name: "ws", Transport: telephony.WS, Address: "127.0.0.1:0", Path: "/sip", Origins: []string{"*.example.org"}},
		{Name: "wss", Transport: telephony.WSS, Address: "127.0.0.1:0"},
	}
}

// startWith starts with listeners of the test's own; those with TLS get a certificate.
func startWith(t *testing.T, h edge.Handler, limits edge.Limits, now func() time.Time, listeners ...edge.Listener) *running {
	t.Helper()
	return startConfigured(t, h, edge.Config{Limits: limits, Now: now, Listeners: listeners})
}

func startConfigured(t *testing.T, h edge.Handler, c edge.Config) *running {
	t.Helper()
	server, roots := certificate(t)
	for i, l := range c.Listeners {
		if l.Transport.Secure() && l.Shares == "" {
			c.Listeners[i].TLS = server
		}
	}
	logs := &strings.Builder{}
	c.Log = slog.New(slog.NewTextHandler(logs, nil))
	e, err := edge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, h) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &running{Edge: e, t: t, stop: stop, roots: roots, logs: logs}
}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}, roots
}

// dial connects to a listener by its name.
func (r *running) dial(name string) net.Conn {
	r.t.Helper()
	nc, err := r.connect(name)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

func (r *running) connect(name string) (net.Conn, error) {
	return r.connectTo(name, r.Addr(name).String())
}

// connectTo connects to a listener, which is called as its transport, at one of its addresses.
func (r *running) connectTo(name, address string) (net.Conn, error) {
	switch name {
	case "tls":
		d := &net.Dialer{Timeout: 10 * time.Second}
		return tls.DialWithDialer(d, "tcp", address, &tls.Config{RootCAs: r.roots, ServerName: "localhost"})
	default:
		return net.Dial(name, address)
	}
}

// message renders a request; more are further header lines.
func message(method, via, user string, more ...string) string {
	s := method + " sip:example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/" + via + " 192.0.2.1:5060;branch=z9hG4bK" + user + ";rport\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:" + user + "@example.com>;tag=f\r\nTo: <sip:" + user + "@Example.com>\r\n" +
		"Call-ID: call-" + user + "\r\nCSeq: 1 " + method + "\r\n"
	for _, line := range more {
		s += line + "\r\n"
	}
	return s + "Content-Length: 0\r\n\r\n"
}

// answers reads n responses of a stream, or of datagrams, in order; keep-alives show as "crlf".
func answers(t *testing.T, nc net.Conn, n int) []string {
	t.Helper()
	framer := wire.NewFramer(wire.Limits{})
	var m wire.Message
	buf := make([]byte, 64<<10) // a whole datagram
	var out []string
	for len(out) < n {
		event, err := framer.Next(&m)
		if err != nil {
			t.Fatal(err)
		}
		switch event {
		case wire.Whole:
			out = append(out, string(m.Head))
			continue
		case wire.KeepAlive, wire.Ping:
			out = append(out, "crlf")
			continue
		}
		read, err := nc.Read(buf)
		if err != nil {
			t.Fatalf("after %d answers: %v", len(out), err)
		}
		for rest := buf[:read]; len(rest) > 0; {
			n := copy(framer.Space(), rest)
			framer.Fill(n)
			rest = rest[n:]
		}
	}
	return out
}

// status cuts the code out of an answer.
func status(answer string) string {
	if len(answer) < 11 {
		return answer
	}
	return answer[8:11]
}

// eventually waits for a condition with a generous deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func local(nc net.Conn) netip.AddrPort { return netip.MustParseAddrPort(nc.LocalAddr().String()) }

// quiet accepts everything and remembers nothing.
type quiet struct{}

func (quiet) Register(_ context.Context, req *registration.Request, reply func(registration.Reply)) {
	accept(req, reply)
}

func (quiet) FlowClosed(telephony.Flow) {}
