package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/resolver"
	"demarc/telephony/wire"
)

// NextHop finds servers as RFC 3263 says.
type NextHop interface {
	Resolve(ctx context.Context, uri wire.URI) ([]resolver.Hop, error)
}

// errNoProxy says that a Route leads to nobody that we open connections to.
var errNoProxy = errors.New("the way leads to no proxy of ours: its address is not among the configured ones")

// toProxy returns a flow to the proxy that the topmost of Route's values names, when the connection that the phone's REGISTER
// came over has closed: proxies close what is idle, and the phone behind them is still there (RFC 3327 §5.4). An open
// connection of that proxy does, else one is opened. No other address is ever connected to.
func (e *Edge) toProxy(ctx context.Context, gone telephony.Flow, route string) (*flow, error) {
	if route == "" || e.cfg.NextHop == nil || !e.isProxy(gone.Remote.Addr()) {
		return nil, ErrFlowGone
	}
	value, _, _ := wire.NextValue([]byte(route))
	next, ok := wire.ParseNameAddr(value)
	uri, fine := wire.ParseURI(next.URI)
	if !ok || !fine {
		return nil, ErrFlowGone
	}
	if f := e.another(gone); f != nil {
		return f, nil
	}
	hops, err := e.cfg.NextHop.Resolve(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFlowGone, err)
	}
	failure := errNoProxy
	for _, hop := range hops {
		if !e.isProxy(hop.Address.Addr()) {
			continue
		}
		f, err := e.reach(ctx, gone, hop)
		if err == nil {
			return f, nil
		}
		failure = err
	}
	return nil, fmt.Errorf("%w: %w", ErrFlowGone, failure)
}

// hold keeps a proxy's connection open: a request for a phone behind it may come at any time, and proxies close what is
// idle. It is the double CRLF of RFC 5626 §3.5.1, which every stream takes.
func (s *stream) hold(ctx context.Context) {
	tick := time.NewTicker(s.edge.cfg.Limits.Ping)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.out.Send([]byte("\r\n\r\n"))
		case <-s.flow.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (e *Edge) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(e.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// another returns an open connection of the proxy that a gone one belonged to.
func (e *Edge) another(gone telephony.Flow) (found *flow) {
	e.live.Range(func(_, open any) bool {
		f := open.(*flow)
		if f.Listener == gone.Listener && f.Remote.Addr() == gone.Remote.Addr() && f.known.Load() {
			found = f
		}
		return found == nil
	})
	return found
}

// reach returns a flow to a hop, over a socket of ours or a new connection.
func (e *Edge) reach(ctx context.Context, gone telephony.Flow, hop resolver.Hop) (*flow, error) {
	if hop.Transport == telephony.UDP {
		for _, s := range e.sockets {
			local := s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
			if local.IsUnspecified() || local.Is4() == hop.Address.Addr().Is4() {
				f := s.flow(s.pair(telephony.Flow{Remote: hop.Address, Transport: telephony.UDP}))
				f.prove()
				return f, nil
			}
		}
		return nil, errors.New("it is reached over UDP, and there is no UDP listener")
	}
	// What the connection counts for: the listener that the proxy came to, or one of the hop's transport.
	i := slices.IndexFunc(e.cfg.Listeners, func(l Listener) bool { return l.Name == gone.Listener && l.Transport == hop.Transport })
	if i < 0 {
		i = slices.IndexFunc(e.cfg.Listeners, func(l Listener) bool { return l.Transport == hop.Transport })
	}
	if i < 0 {
		return nil, fmt.Errorf("it is reached over %s, and there is no such listener", hop.Transport)
	}
	reaching := &e.reaching[maphash.Comparable(e.tagSeed, hop.Address)%uint64(len(e.reaching))]
	reaching.Lock() // those who want the same one wait for it
	defer reaching.Unlock()
	if f := e.openTo(hop.Address); f != nil {
		return f, nil
	}
	return e.dial(ctx, e.cfg.Listeners[i], hop)
}

// openTo returns the connection that we have opened to an address.
func (e *Edge) openTo(a netip.AddrPort) (found *flow) {
	e.live.Range(func(_, open any) bool {
		if f := open.(*flow); f.Remote == a {
			found = f
		}
		return found == nil
	})
	return found
}

// dial opens a connection to a proxy and serves it like one that the proxy opened.
func (e *Edge) dial(ctx context.Context, l Listener, hop resolver.Hop) (*flow, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Handshake)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", hop.Address.String())
	if err != nil {
		return nil, err
	}
	nc := raw
	if l.Transport.Secure() {
		// The certificate must be for the name in the Path: what DNS made of it proves nothing (RFC 5922 §4).
		tc := tls.Client(raw, &tls.Config{ServerName: hop.Domain, RootCAs: e.cfg.ProxyRoots, MinVersion: tls.VersionTLS12})
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		nc = tc
	}
	t, full := e.guard.Admit(hop.Address.Addr(), func() { _ = raw.Close() })
	if t == nil {
		return nil, errors.Join(fmt.Errorf("too many connections (%s)", full), raw.Close())
	}
	s := newStream(e, l, raw, t)
	s.nc, s.dialled = nc, true
	s.flow = e.newFlow(l, hop.Address, &s.out)
	s.flow.rearm, s.flow.gone = s.rearm, make(chan struct{})
	s.flow.prove()
	s.first()
	if !e.start(s) {
		e.guard.Leave(t)
		return nil, errors.Join(ErrFlowGone, raw.Close())
	}
	return s.flow, nil
}

// start serves a connection that we opened, unless the edge stops.
func (e *Edge) start(s *stream) bool {
	e.dialling.Lock()
	defer e.dialling.Unlock()
	if e.isStopping() || e.work == nil {
		return false
	}
	e.count.open.add(s.cfg.Name, 1)
	e.live.Store(s.flow.ID, s.flow)
	e.readers.Go(func() {
		defer e.guard.Leave(s.ticket)
		defer e.count.open.add(s.cfg.Name, -1)
		s.serve(e.work)
	})
	return true
}
