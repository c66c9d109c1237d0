package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge/guard"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// Config configures an Edge.
type Config struct {
	Listeners []Listener
	Limits    Limits
	Node      string         // this one, for the ways of calls
	Proxies   []netip.Prefix // in front of phones: they are never banned, since many phones stand behind one

	NextHop    NextHop        // finds proxies again whose connection has closed; nil: nobody does
	ProxyRoots *x509.CertPool // who may sign the certificate of a proxy that we connect to; nil: the system's

	Timers sip.Timers       // of transactions
	Trace  Tracer           // nil: nothing is remembered
	Log    *slog.Logger     // nil: slog.Default
	Now    func() time.Time // nil: time.Now
}

// Listener is one address to serve.
type Listener struct {
	Name      string // unique; stands on every flow, in counters and logs
	Transport telephony.Transport
	Address   string      // host:port; port 0 lets the kernel choose
	Shares    string      // for wss: the tls listener whose address and TLS it is served on too; for ws: a tcp one
	TLS       *tls.Config // for tls and wss; it must not ask for client certificates
	Advertise string      // host:port that phones see in front of a 1:1 NAT; empty: the bound address
	Media     netip.Addr  // where phones are to send media in front of a 1:1 NAT; zero: see MediaAddress

	// TrustsFlows lets a phone call without a digest over the very connection that it registered over. Over UDP an address can
	// be forged, so that this is for networks where nobody does.
	TrustsFlows bool

	// For ws and wss alone.
	Path    string   // where upgrades are taken; empty: anywhere
	Origins []string // host patterns (path.Match) of pages that may connect, besides the listener's own host
}

// Limits bounds what strangers can cost. The zero value of a field means its default.
type Limits struct {
	Message wire.Limits

	Handshake    time.Duration // for a TLS handshake; 5 s
	FirstMessage time.Duration // from the open connection to its first message; 10 s
	Patience     time.Duration // how old a connection is before a newer one may displace it; 1 s
	MessageTime  time.Duration // from a message's first byte to its last, however it drips; 10 s
	Idle         time.Duration // between messages before anybody authenticated on the connection; 2 min
	KnownIdle    time.Duration // between messages after that; 125 min; it has to be longer than a registration may last
	FlowGrace    time.Duration // beyond the Flow-Timer that a peer was told, before its silence ends the flow; 15 s
	Write        time.Duration // for the peer to take an answer; 10 s
	Ping         time.Duration // between our pings over a WebSocket; 30 s
	Pong         time.Duration // for the answer to one; 10 s
	Stop         time.Duration // for work in hand when the edge stops; 5 s

	Connections       int           // in total; 20,000. A newer one displaces the oldest stranger's.
	SourceConnections int           // per address (IPv6: per /64); 1,000: an office may stand behind one
	HalfOpen          int           // connections without a first message; 2,048. A newer one displaces the oldest.
	SourceHalfOpen    int           // the same per address; 512
	FlowReplies       int           // requests of one flow that wait for their reply; 1,024: it may be a proxy
	UDPFlows          int           // remotes that are remembered per listener; 65,536
	Admission         int           // requests per second that mean work, from whom we do not know: the rest gets 503; 5,000
	Waiting           int           // requests without their reply at which strangers get 503; 4,096
	Guesses           int           // wrong answers to a challenge for one AoR from one source, before silence; 10
	GuessRefill       time.Duration // until one more is taken; 30 s: a phone with a new password gets in
	SourceWrong       int           // wrong answers from one source within Window before it is banned; 50
	SourceRequests    int           // requests from one source, nobody of it known, within Window before it is banned; 3,000
	Window            time.Duration // 10 min
	Ban               time.Duration // of a source: silence; 1 h
	Trust             time.Duration // for which a source is not banned after somebody there proved who they are; 24 h

	UDPReplies int // replies per second to an address that never authenticated; 50, in bursts of up to 200
}

func (l Limits) withDefaults() Limits {
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&l.Handshake, 5*time.Second)
	duration(&l.FirstMessage, 10*time.Second)
	duration(&l.Patience, time.Second)
	duration(&l.MessageTime, 10*time.Second)
	duration(&l.Idle, 2*time.Minute)
	duration(&l.KnownIdle, 125*time.Minute)
	duration(&l.FlowGrace, 15*time.Second)
	duration(&l.Write, 10*time.Second)
	duration(&l.Ping, 30*time.Second)
	duration(&l.Pong, 10*time.Second)
	duration(&l.Stop, 5*time.Second)
	duration(&l.GuessRefill, 30*time.Second)
	duration(&l.Window, 10*time.Minute)
	duration(&l.Ban, time.Hour)
	duration(&l.Trust, 24*time.Hour)
	number := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	number(&l.Connections, 20_000)
	number(&l.SourceConnections, 1_000)
	number(&l.HalfOpen, 2048)
	number(&l.SourceHalfOpen, 512)
	number(&l.FlowReplies, 1024)
	number(&l.UDPFlows, 1<<16)
	number(&l.UDPReplies, 50)
	number(&l.Admission, 5000)
	number(&l.Waiting, 4096)
	number(&l.Guesses, 10)
	number(&l.SourceWrong, 50)
	number(&l.SourceRequests, 3000)
	return l
}

// guard returns the part that the books on strangers keep to.
func (l Limits) guard() guard.Limits {
	return guard.Limits{
		Connections: l.Connections, SourceConnections: l.SourceConnections, HalfOpen: l.HalfOpen, SourceHalfOpen: l.SourceHalfOpen,
		Patience: l.Patience, Admission: l.Admission, Guesses: l.Guesses, GuessRefill: l.GuessRefill, SourceWrong: l.SourceWrong,
		SourceRequests: l.SourceRequests, Window: l.Window, Ban: l.Ban, Trust: l.Trust,
	}
}

// ErrConfig is wrapped by what New says about a bad Config.
var ErrConfig = errors.New("edge: configuration")

func (c Config) validate() error {
	names := make(map[string]bool)
	for _, l := range c.Listeners {
		if l.Name == "" || names[l.Name] {
			return fmt.Errorf("%w: listener %q: give every listener a name of its own", ErrConfig, l.Name)
		}
		names[l.Name] = true
		if err := l.validate(); err != nil {
			return fmt.Errorf("%w: listener %q: %w", ErrConfig, l.Name, err)
		}
		if l.Shares != "" && !slices.ContainsFunc(c.Listeners, l.sharesWith) {
			return fmt.Errorf("%w: listener %q shares %q: a wss listener shares a tls one, a ws listener a tcp one", ErrConfig,
				l.Name, l.Shares)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: no listeners: configure at least one", ErrConfig)
	}
	return nil
}

func (l Listener) validate() error {
	switch l.Transport {
	case telephony.UDP, telephony.TCP, telephony.WS:
	case telephony.TLS, telephony.WSS:
		if l.TLS == nil && l.Shares != "" {
			break
		}
		if l.TLS == nil {
			return fmt.Errorf("transport %s needs a certificate", l.Transport)
		}
		// Some phones stop and wait for a person when a server asks, even optionally.
		if l.TLS.ClientAuth != tls.NoClientCert {
			return errors.New("phones must not be asked for client certificates")
		}
	default:
		return fmt.Errorf("transport %q: use udp, tcp, tls, ws or wss", l.Transport)
	}
	if l.Path != "" && l.Path[0] != '/' {
		return fmt.Errorf("path %q: begin it with /", l.Path)
	}
	for _, pattern := range l.Origins {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("origin %q: write a host like phone.example.org, with * for any part", pattern)
		}
	}
	return nil
}
