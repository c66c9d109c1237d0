package nodes_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"demarc/internal/pki"
	"demarc/telephony"
	"demarc/telephony/nodes"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errGone = errors.New("gone")

// book is where the nodes are.
type book map[string]string

func (b book) Address(_ context.Context, node string) (string, error) {
	if address, ok := b[node]; ok {
		return address, nil
	}
	return "", errors.New("no such node")
}

// flows stands for an edge: phones behind it answer over a real connection.
type flows struct {
	mu    sync.Mutex
	asked []sip.Request
	over  []telephony.Flow
	phone *sip.Conn // where requests go
	err   error

	panics bool
}

func (f *flows) Send(ctx context.Context, flow telephony.Flow, r sip.Request) (*sip.Response, error) {
	f.mu.Lock()
	f.asked, f.over = append(f.asked, r), append(f.over, flow)
	err, phone, panics := f.err, f.phone, f.panics
	f.mu.Unlock()
	if panics {
		panic("secret-canary")
	}
	if err != nil {
		return nil, err
	}
	return phone.Do(ctx, r)
}

func (f *flows) fail(err error) { f.set(func() { f.err = err }) }

func (f *flows) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// start runs one node.
func start(t *testing.T, name string, authority *pki.Authority, b book, key string, f nodes.Flows,
	change ...func(*nodes.Config)) *nodes.Nodes {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b[name] = l.Addr().String()
	c := nodes.Config{
		Node: name, Listener: l, Identity: authority.Node(name, time.Now), Tokens: nodes.NewTokens([]byte(key)), Flows: f,
		Gone: errGone, Book: b,
	}
	for _, f := range change {
		f(&c)
	}
	n := nodes.New(c)
	serve(t, n)
	return n
}

// serve serves until the test's end.
func serve(t *testing.T, n *nodes.Nodes) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func authority(t *testing.T) *pki.Authority {
	t.Helper()
	a, err := pki.LoadOrCreate(t.TempDir(), []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// phone is what stands behind a node: a connection whose other end answers 486 with headers of its own.
func phone(t *testing.T) *sip.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() { c, _ := l.Accept(); accepted <- c }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	taken := <-accepted
	_ = l.Close()
	device := sip.NewConn(dialled, sip.Config{Transport: telephony.TCP, Handler: func(m *wire.Message) sip.Answer {
		return sip.Answer{Status: 486, Reason: "In A Meeting", Tag: "phones-tag", Body: []byte("body of " + string(m.Body)),
			Headers: []sip.Header{{Name: "Contact", Value: "<sip:phone@10.0.0.1>"}, {Name: "Content-Type", Value: "text/plain"}}}
	}})
	conn := sip.NewConn(taken, sip.Config{Transport: telephony.TCP})
	t.Cleanup(func() { _ = device.Close(); _ = conn.Close() })
	return conn
}

func message() sip.Request {
	return sip.Request{Method: "MESSAGE", URI: "sip:1001@10.0.0.1;ob", Body: []byte("hello"), Headers: []sip.Header{
		{Name: "Route", Value: "<sip:proxy.example;lr>"},
		{Name: "From", Value: "<sip:a@example.org>;tag=1"}, {Name: "To", Value: "<sip:1001@example.org>"},
		{Name: "Call-ID", Value: "c1"}, {Name: "CSeq", Value: "7 MESSAGE"}, {Name: "Content-Type", Value: "text/plain"},
	}}
}

var flow = telephony.Flow{ID: 42, Listener: "tls", Transport: telephony.TLS, Remote: netip.MustParseAddrPort("192.0.2.1:5061")}

func TestRequestReachesThePhoneOfAnotherNode(t *testing.T) {
	a, b := authority(t), book{}
	far := &flows{phone: phone(t)}
	one := start(t, "one", a, b, "shared key", &flows{})
	start(t, "two", a, b, "shared key", far)
	response, err := one.Send(t.Context(), "two", flow, message())
	if err != nil {
		t.Fatal(err)
	}
	if response.Status != 486 || response.Reason != "In A Meeting" || response.ToTag() != "phones-tag" ||
		response.Header("Contact") != "<sip:phone@10.0.0.1>" || string(response.Body) != "body of hello" {
		t.Errorf("%d %s %q %q", response.Status, response.Reason, response.ToTag(), response.Body)
	}
	if far.over[0] != flow {
		t.Errorf("over %+v", far.over[0])
	}
	r := far.asked[0]
	if r.URI != "sip:1001@10.0.0.1;ob" || r.Hops != 69 || string(r.Body) != "hello" {
		t.Errorf("%+v", r)
	}
	for _, h := range r.Headers {
		if h.Name == "Route" && h.Value != "<sip:proxy.example;lr>" {
			t.Errorf("Route %s", h.Value)
		}
	}
	for want, err := range map[int]error{430: errGone, 408: sip.ErrTimeout, 503: io.EOF} {
		far.fail(err)
		if response, err := one.Send(t.Context(), "two", flow, message()); err != nil || response.Status != want {
			t.Errorf("want %d: %+v %v", want, response, err)
		}
	}
	invite := message()
	invite.Method, invite.Headers[4].Value = "INVITE", "7 INVITE"
	if response, err := one.Send(t.Context(), "two", flow, invite); err != nil || response.Status != 501 {
		t.Errorf("INVITE: %+v %v", response, err)
	}
}

// A panic while one request is forwarded is answered with 500, and the same connection carries the next.
func TestPanicEndsOneForwardedRequest(t *testing.T) {
	a, b := authority(t), book{}
	far := &flows{phone: phone(t), panics: true}
	one := start(t, "one", a, b, "k", &flows{})
	two := start(t, "two", a, b, "k", far)
	if response, err := one.Send(t.Context(), "two", flow, message()); err != nil || response.Status != 500 {
		t.Errorf("%+v %v", response, err)
	}
	far.set(func() { far.panics = false })
	if response, err := one.Send(t.Context(), "two", flow, message()); err != nil || response.Status != 486 {
		t.Errorf("%+v %v", response, err)
	}
	if two.Panics() != 1 || one.Panics() != 0 {
		t.Errorf("%d and %d panics", one.Panics(), two.Panics())
	}
}

// Strangers who connect and say nothing displace each other, not a node.
func TestSilentStrangersDoNotKeepNodesOut(t *testing.T) {
	a, b := authority(t), book{}
	one := start(t, "one", a, b, "k", &flows{})
	start(t, "two", a, b, "k", &flows{err: errGone})
	for range 300 {
		c, err := net.Dial("tcp", b["two"])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	for end := time.Now().Add(20 * time.Second); ; {
		response, err := one.Send(t.Context(), "two", flow, message())
		if err == nil && response.Status == 430 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v %v", response, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A node that takes connections and says nothing holds up those who want it for one attempt, not for one each.
func TestSilentNodeIsTriedOnceForAll(t *testing.T) {
	a, b := authority(t), book{}
	one := start(t, "one", a, b, "k", &flows{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b["two"] = l.Addr().String()
	var attempts atomic.Int32
	var work sync.WaitGroup
	defer work.Wait()
	defer func() { _ = l.Close() }()
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			attempts.Add(1)
			defer func() { _ = c.Close() }()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var failed sync.WaitGroup
	for range 20 {
		failed.Go(func() {
			if _, err := one.Send(ctx, "two", flow, message()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
	failed.Wait()
	if n := attempts.Load(); n != 1 {
		t.Errorf("%d attempts within one second", n)
	}
}

func TestTokensOfStrangersAreRefused(t *testing.T) {
	a, b := authority(t), book{}
	one := start(t, "one", a, b, "one key", &flows{})
	start(t, "two", a, b, "another key", &flows{})
	if response, err := one.Send(t.Context(), "two", flow, message()); err != nil || response.Status != 403 {
		t.Errorf("%+v %v", response, err)
	}
}

func TestOnlyNodesAreLetIn(t *testing.T) {
	a, b := authority(t), book{}
	start(t, "two", a, b, "k", &flows{})
	stranger := authority(t)
	for name, client := range map[string]*tls.Config{
		"no certificate":         {RootCAs: a.Pool(), ServerName: "node.demarc.internal"},
		"another authority":      withRoots(stranger.Node("one", time.Now).Client("two"), a),
		"expects another node":   a.Node("one", time.Now).Client("three"),
		"a server's certificate": serverAsClient(t, a),
	} {
		c, err := tls.Dial("tcp", b["two"], client)
		if err == nil { // in TLS 1.3 the server's refusal comes with the first read
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: let in (%v)", name, err)
		}
	}
}

func withRoots(c *tls.Config, a *pki.Authority) *tls.Config {
	c.RootCAs = a.Pool()
	return c
}

func serverAsClient(t *testing.T, a *pki.Authority) *tls.Config {
	t.Helper()
	cert, err := a.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: a.Pool(), ServerName: "node.demarc.internal", Certificates: []tls.Certificate{*cert}}
}

// A connection that was lost is made again by the next request.
func TestNodeComesBack(t *testing.T) {
	a, b := authority(t), book{}
	one := start(t, "one", a, b, "k", &flows{})
	if _, err := one.Send(t.Context(), "two", flow, message()); err == nil {
		t.Fatal("an unknown node was reached")
	}
	t.Run("first life", func(t *testing.T) {
		start(t, "two", a, b, "k", &flows{err: errGone})
		if response, err := one.Send(t.Context(), "two", flow, message()); err != nil || response.Status != 430 {
			t.Fatalf("%+v %v", response, err)
		}
	})
	start(t, "two", a, b, "k", &flows{err: errGone})
	for end := time.Now().Add(20 * time.Second); ; {
		response, err := one.Send(t.Context(), "two", flow, message())
		if err == nil && response.Status == 430 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v %v", response, err)
		}
	}
}

// register is a book that is away at times: then it fails, or does not answer at all.
type register struct {
	book
	mu   sync.Mutex
	fail func(context.Context) error
}

func (r *register) Address(ctx context.Context, node string) (string, error) {
	r.mu.Lock()
	fail := r.fail
	r.mu.Unlock()
	if fail != nil {
		return "", fail(ctx)
	}
	return r.book.Address(ctx, node)
}

func (r *register) set(fail func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// While the store cannot tell where a node is, its last address counts: a lost connection there is made again.
func TestNodeIsReachedAgainWhileTheStoreIsAway(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"it refuses": func(context.Context) error { return errors.New("away") },
		"it hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := authority(t), book{}
			where := &register{book: b}
			one := start(t, "one", a, b, "k", &flows{}, func(c *nodes.Config) { c.Book = where })
			t.Run("first life", func(t *testing.T) {
				start(t, "two", a, b, "k", &flows{err: errGone})
				if response, err := one.Send(t.Context(), "two", flow, message()); err != nil || response.Status != 430 {
					t.Fatalf("%+v %v", response, err)
				}
			})
			where.set(fail)
			l, err := net.Listen("tcp", b["two"])
			if err != nil {
				t.Fatal(err)
			}
			start(t, "two", a, b, "k", &flows{err: errGone}, func(c *nodes.Config) { _, c.Listener = c.Listener.Close(), l })
			for end := time.Now().Add(20 * time.Second); ; {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				response, err := one.Send(ctx, "two", flow, message())
				cancel()
				if err == nil && response.Status == 430 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("%+v %v", response, err)
				}
			}
		})
	}
}

// A node asks another one, which answers what it knows; an older one, that knows no questions, is told apart.
func TestNodesAskEachOther(t *testing.T) {
	a, b := authority(t), book{}
	asker := nodes.New(nodes.Config{Node: "one", Identity: a.Node("one", time.Now), Book: b}) // it holds no phones
	serve(t, asker)
	start(t, "two", a, b, "k", &flows{}, func(c *nodes.Config) {
		c.Answer = func(_ context.Context, subject string, question []byte) ([]byte, error) {
			switch subject {
			case "weather":
				return append([]byte("of "), question...), nil
			case "broken":
				return nil, io.EOF
			}
			return nil, nodes.ErrSubject
		}
	})
	start(t, "three", a, b, "k", &flows{})
	for _, c := range []struct {
		node, subject, want string
		err                 string
	}{
		{"two", "weather", "of {}", ""}, {"two", "sports", "", "404"}, {"two", "broken", "", "500"},
		{"three", "weather", "", "another version (404"}, {"four", "weather", "", "no such node"},
	} {
		got, err := asker.Ask(t.Context(), c.node, c.subject, []byte("{}"))
		if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s of %s: %q, %v", c.subject, c.node, got, err)
		}
	}
	if _, err := asker.Ask(t.Context(), "two", "weather", bytes.Repeat([]byte("x"), 60<<10)); err != nil {
		t.Errorf("a long answer: %v", err)
	}
}
