package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"demarc/telephony"
	"demarc/telephony/wire"
)

// Errors of a Conn.
var (
	ErrClosed   = errors.New("sip: the connection is closed")
	ErrTimeout  = errors.New("sip: no response in time (timer F)")
	ErrNoPong   = errors.New("sip: the peer no longer answers keep-alives")
	ErrBusy     = errors.New("sip: too many requests wait for their response")
	errBadPeer  = errors.New("sip: the peer sent what is not SIP")
	errNoScheme = errors.New("sip: transport is not udp, tcp or tls")
)

// Config configures a Conn.
type Config struct {
	Transport   telephony.Transport // udp, tcp or tls
	Address     string              // host:port
	TLS         *tls.Config         // for tls; ServerName is the host of Address when empty
	KeepAlive   time.Duration       // between pings (RFC 5626 §4.4.1); 0: none
	PongTimeout time.Duration       // 10 s; a peer that never answered a ping is not held to it
	Timers      Timers
	// Handler answers an incoming request; it runs in the reader and must not block. Nil: OPTIONS gets 200, all else 405.
	Handler func(req *wire.Message) Answer
	// Serve takes incoming requests instead of Handler, and may answer later: respond is to be called once, from any
	// goroutine. The message is a copy.
	Serve func(req *wire.Message, respond func(Answer))
	// First takes a message before anybody else here does, and reports whether it did. It runs in the reader.
	First func(m *wire.Message) bool
	// Accepted says that the peer opened the connection: its pings are answered (RFC 5626 §4.4.1).
	Accepted bool
	Waiting  int          // requests that may wait for a response, in either direction; 256 when 0
	Limits   wire.Limits  // of what the peer sends
	Log      *slog.Logger // nil: slog.Default
}

// Answer is what a Handler wants sent.
type Answer struct {
	Status  int
	Reason  string // the standard phrase when empty
	Headers []Header
	Body    []byte
	Tag     string // of To; random when empty
}

// Conn is the client side of one flow: a connection, or a UDP socket bound to one peer. Its methods may be called from
// several goroutines.
type Conn struct {
	cfg       Config
	nc        net.Conn
	reliable  bool
	transport string // as it stands in Via
	sentBy    string
	remote    netip.AddrPort
	incoming  *Transactions
	clients   *Clients

	every   atomic.Int64  // nanoseconds between keep-alives
	sooner  chan struct{} // of capacity one: every has become shorter
	pinging sync.Once

	mu      sync.Mutex
	err     error
	pong    chan struct{}
	done    chan struct{}
	work    sync.WaitGroup
	writing sync.Mutex
}

const (
	defaultWaiting = 256
	writeTimeout   = 10 * time.Second
	readBuffer     = 64 << 10 // a UDP datagram
)

// Dial connects; for TLS it returns after the handshake, whose error is wrapped (x509 errors can be found by
// errors.As).
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	nc, err := dial(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("sip: connect to %s over %s: %w", cfg.Address, cfg.Transport, err)
	}
	return NewConn(nc, cfg), nil
}

func dial(ctx context.Context, cfg Config) (net.Conn, error) {
	var d net.Dialer
	switch cfg.Transport {
	case telephony.UDP:
		return d.DialContext(ctx, "udp", cfg.Address)
	case telephony.TCP:
		return d.DialContext(ctx, "tcp", cfg.Address)
	case telephony.TLS:
		return (&tls.Dialer{NetDialer: &d, Config: cfg.TLS}).DialContext(ctx, "tcp", cfg.Address)
	}
	return nil, errNoScheme
}

// NewConn starts a Conn on a connection that is open. Close ends it.
func NewConn(nc net.Conn, cfg Config) *Conn {
	if cfg.PongTimeout <= 0 {
		cfg.PongTimeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Waiting <= 0 {
		cfg.Waiting = defaultWaiting
	}
	cfg.Timers = cfg.Timers.WithDefaults()
	c := &Conn{
		cfg: cfg, nc: nc, reliable: cfg.Transport.Stream(),
		transport: strings.ToUpper(string(cfg.Transport)), sentBy: nc.LocalAddr().String(),
		remote: addrPort(nc.RemoteAddr()), incoming: NewTransactions(cfg.Timers, cfg.Waiting),
		clients: NewClients(cfg.Timers, cfg.Waiting), pong: make(chan struct{}, 1), done: make(chan struct{}),
		sooner: make(chan struct{}, 1),
	}
	c.work.Go(c.read)
	c.KeepAlive(cfg.KeepAlive)
	return c
}

// KeepAlive sends keep-alives at least this often from now on; one that is no shorter than before changes nothing. It is
// for what the peer asks for (Flow-Timer, RFC 5626 §4.4.1), and must not be called after Close.
func (c *Conn) KeepAlive(every time.Duration) {
	before := c.every.Load()
	if every <= 0 || before > 0 && every >= time.Duration(before) || !c.every.CompareAndSwap(before, int64(every)) {
		return
	}
	c.pinging.Do(func() { c.work.Go(c.keepAlive) })
	select {
	case c.sooner <- struct{}{}:
	default:
	}
}

// LocalAddr returns the local address and port: what a Contact names.
func (c *Conn) LocalAddr() netip.AddrPort { return addrPort(c.nc.LocalAddr()) }

// RemoteAddr returns the peer's address and port.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// Done is closed when the connection has ended; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended: ErrClosed after Close, nil while it is open.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and waits for its goroutines. It must not be called from the Handler.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	c.work.Wait()
	return nil
}

// Do sends a request other than INVITE and waits for its final response: a client transaction (RFC 3261 §17.1.2).
func (c *Conn) Do(ctx context.Context, r Request) (*Response, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	branch := NewBranch()
	raw := AppendRequest(nil, r, c.transport, c.sentBy, branch)
	return c.clients.Do(ctx, raw, branch, r.Method, Way{Reliable: c.reliable, Send: c.write, Gone: c.done, Err: c.Err})
}

// Write sends one whole message that somebody else has rendered.
func (c *Conn) Write(b []byte) error {
	if err := c.Err(); err != nil {
		return err
	}
	return c.write(b)
}

// Cut ends the connection without waiting for its goroutines.
func (c *Conn) Cut() { c.fail(ErrClosed) }

// write sends whole messages, one at a time. A failed write ends the connection: a stream is out of step after it.
func (c *Conn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := c.nc.Write(b); err != nil {
		if !c.reliable { // an ICMP error of an earlier datagram: timer F decides
			return nil
		}
		c.fail(fmt.Errorf("sip: write: %w", err))
		return c.Err()
	}
	return nil
}

// fail ends the connection with the first reason given.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	ended := c.err != nil
	if !ended {
		c.err = err
		close(c.done)
	}
	c.mu.Unlock()
	if !ended {
		_ = c.nc.Close() // ends the reader; outside of the lock, since TLS says goodbye first
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
