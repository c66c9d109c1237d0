package nodes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"demarc/telephony"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// Flows sends over the connections that phones opened to this node.
type Flows interface {
	Send(ctx context.Context, f telephony.Flow, r sip.Request) (*sip.Response, error)
}

// Identity is this node's side of mutual TLS.
type Identity interface {
	Server() *tls.Config
	Client(to string) *tls.Config
}

// Book knows where nodes are.
type Book interface {
	Address(ctx context.Context, node string) (string, error)
}

// Config of Nodes. A node that holds no phones has neither Listener nor Flows, and only asks. Timers, Limit and Log may be
// left out.
type Config struct {
	Node     string
	Listener net.Listener
	Identity Identity
	Tokens   Tokens
	Flows    Flows
	Calls    Calls // nil: calls are refused
	Gone     error // what Flows returns for a flow that is not there any more
	Book     Book
	// Answer answers what another node asks about a subject; ErrSubject when it knows none of that name. Nil: there are none.
	Answer func(ctx context.Context, subject string, question []byte) ([]byte, error)
	Timers sip.Timers
	Limit  int // requests in hand per connection; 4096 when 0
	Log    *slog.Logger
}

const (
	defaultLimit = 4096
	dialTimeout  = 5 * time.Second
	keepAlive    = 20 * time.Second
)

// roomy is what nodes take from each other: all that a phone may send (wire.Limits), and what is added on the way. What is longer would end the
// connection, and with it what all phones of both nodes have under way.
var roomy = wire.Limits{Head: 32 << 10, Fields: 512, Body: 128 << 10}

// Nodes is one node's place among the others. Its methods are safe for concurrent use.
type Nodes struct {
	cfg  Config
	life context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	half    half
	logRate *rate.Limiter // for lines that strangers can cause
	panics  atomic.Uint64

	mu       sync.Mutex
	out      map[string]*link
	accepted map[*sip.Conn]struct{}
}

// New returns Nodes that serve nobody yet.
func New(c Config) *Nodes {
	if c.Limit <= 0 {
		c.Limit = defaultLimit
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	n := &Nodes{cfg: c, out: make(map[string]*link), accepted: make(map[*sip.Conn]struct{}),
		logRate: rate.NewLimiter(1, 10),
	}
	n.life, n.stop = context.WithCancel(context.Background())
	return n
}

// Serve takes connections of other nodes until the context ends, and returns when nothing runs any more.
func (n *Nodes) Serve(ctx context.Context) error {
	if n.cfg.Listener != nil {
		n.work.Go(n.accept)
	}
	<-ctx.Done()
	n.mu.Lock() // so that nobody dials afterwards
	n.stop()
	n.mu.Unlock()
	if n.cfg.Listener != nil {
		_ = n.cfg.Listener.Close()
	}
	n.mu.Lock()
	var open []*sip.Conn
	for c := range n.accepted {
		open = append(open, c)
	}
	links := n.out
	n.out = make(map[string]*link)
	n.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	for _, l := range links {
		l.close()
	}
	n.work.Wait()
	return nil
}

// Send lets the node that holds the flow send a request, and returns the phone's response.
func (n *Nodes) Send(ctx context.Context, node string, f telephony.Flow, r sip.Request) (*sip.Response, error) {
	conn, err := n.connect(ctx, node)
	if err != nil {
		return nil, fmt.Errorf("nodes: %s: %w", node, err)
	}
	route := sip.Header{Name: "Route", Value: "<sip:" + n.cfg.Tokens.Seal(f) + "@" + node + ";lr>"}
	r.Headers = append([]sip.Header{route}, r.Headers...)
	return conn.Do(ctx, r)
}

func (n *Nodes) connect(ctx context.Context, node string) (*sip.Conn, error) {
	_, conn, err := n.linked(ctx, node)
	return conn, err
}

func (n *Nodes) linked(ctx context.Context, node string) (*link, *sip.Conn, error) {
	n.mu.Lock()
	l := n.out[node]
	if l == nil {
		l = newLink()
		n.out[node] = l
	}
	n.mu.Unlock()
	conn, err := l.connect(ctx, func(ctx context.Context) (string, error) { return n.cfg.Book.Address(ctx, node) },
		func(address string) (*sip.Conn, error) { return n.dial(ctx, l, node, address) })
	return l, conn, err
}

func (n *Nodes) dial(ctx context.Context, l *link, node, address string) (*sip.Conn, error) {
	if n.life.Err() != nil {
		return nil, sip.ErrClosed
	}
	bounded, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return sip.Dial(bounded, sip.Config{
		Transport: telephony.TLS, Address: address, TLS: n.cfg.Identity.Client(node), KeepAlive: keepAlive,
		Timers: n.cfg.Timers, Waiting: n.cfg.Limit, Limits: roomy, Log: n.cfg.Log, First: l.response,
		Handler: func(*wire.Message) sip.Answer { return sip.Answer{Status: 403} }, // each asks over its own connection
	})
}

func (n *Nodes) accept() {
	for {
		raw, err := n.cfg.Listener.Accept()
		if errors.Is(err, net.ErrClosed) || n.life.Err() != nil {
			if err == nil {
				_ = raw.Close()
			}
			return
		}
		if err != nil {
			n.cfg.Log.Warn("the internal listener cannot accept", "error", err)
			select {
			case <-n.life.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		if !n.half.enter(raw) { // strangers' handshakes must not cost more than this
			_ = raw.Close()
			continue
		}
		n.work.Go(func() { n.welcome(raw) })
	}
}

// welcome lets in who proves to be a node.
func (n *Nodes) welcome(raw net.Conn) {
	secured, err := n.handshake(raw)
	if err != nil {
		if n.logRate.Allow() {
			n.cfg.Log.Warn("somebody who is no node of ours came to the internal listener", "remote", raw.RemoteAddr().String(),
				"error", err)
		}
		_ = raw.Close()
		return
	}
	calls := n.newIncoming(secured)
	conn := sip.NewConn(secured, sip.Config{
		Transport: telephony.TLS, Accepted: true, Serve: n.forward, Timers: n.cfg.Timers, Waiting: n.cfg.Limit,
		Limits: roomy, Log: n.cfg.Log, First: calls.take,
	})
	calls.begin(conn)
	defer calls.end()
	n.mu.Lock()
	n.accepted[conn] = struct{}{}
	n.mu.Unlock()
	select {
	case <-conn.Done():
	case <-n.life.Done():
	}
	_ = conn.Close()
	n.mu.Lock()
	delete(n.accepted, conn)
	n.mu.Unlock()
}

func (n *Nodes) handshake(raw net.Conn) (secured *tls.Conn, err error) {
	defer n.half.leave(raw)
	err = errFault
	defer n.recovered()
	secured = tls.Server(raw, n.cfg.Identity.Server())
	ctx, cancel := context.WithTimeout(n.life, dialTimeout)
	defer cancel()
	err = secured.HandshakeContext(ctx)
	return secured, err
}

var errFault = errors.New("nodes: a fault of the program")

// Panics returns how many requests and handshakes ended in a fault of the program.
func (n *Nodes) Panics() uint64 { return n.panics.Load() }

// recovered is deferred where one request or handshake is served. What a panic says is logged only when it is the
// runtime's: other values could hold parts of a message.
func (n *Nodes) recovered() {
	fault := recover()
	if fault == nil {
		return
	}
	n.panics.Add(1)
	known, _ := fault.(runtime.Error)
	n.cfg.Log.Error("panic while a request of another node was served", "error", known, "stack", string(debug.Stack()))
}
