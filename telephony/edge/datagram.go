package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"demarc/internal/bounded"
	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/stun"
	"demarc/telephony/edge/transport"
	"demarc/telephony/registrar"
	"demarc/telephony/wire"
)

// socket is one UDP listener: one reader, everybody writes.
type socket struct {
	edge     *Edge
	cfg      Listener
	conn     *net.UDPConn
	incoming *transport.Datagrams
	outgoing *transport.Departures
	flows    remotes
	budget   *bounded.Map[netip.Addr, *rate.Limiter] // replies to addresses that never authenticated
}

const (
	budgetSources = 1 << 14
	burstSeconds  = 4
)

func newSocket(e *Edge, l Listener, conn *net.UDPConn) (*socket, error) {
	d, err := transport.NewDatagrams(conn)
	if err != nil {
		return nil, err
	}
	return &socket{
		edge: e, cfg: l, conn: conn, incoming: d, outgoing: transport.NewDepartures(d.Write, func() { e.reject(l, "write") }),
		flows:  newRemotes(e.cfg.Limits.UDPFlows),
		budget: bounded.NewMap[netip.Addr, *rate.Limiter](budgetSources),
	}, nil
}

func (s *socket) read(ctx context.Context) {
	var m wire.Message
	for !s.edge.isStopping() {
		n, err := s.incoming.Read()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.edge.isStopping() {
				return
			}
			s.edge.reject(s.cfg, "read")
			time.Sleep(time.Millisecond) // an error that stays must not take the processor
			continue
		}
		s.serve(ctx, n, &m)
	}
}

// serve handles the datagrams that were read together, and sends what they were answered with together.
func (s *socket) serve(ctx context.Context, n int, m *wire.Message) {
	s.outgoing.Hold()
	defer s.outgoing.Release()
	came := s.edge.cfg.Now() // all of them: they take less than a millisecond
	for i := range n {
		b, remote := s.incoming.At(i)
		s.datagram(ctx, came, remote, b, m)
	}
}

func (s *socket) datagram(ctx context.Context, came time.Time, remote netip.AddrPort, b []byte, m *wire.Message) {
	defer s.edge.recovered("datagram")
	if remote.Port() == 0 || isKeepAlive(b) {
		s.edge.count.keepAlives.Add(1) // keeps NAT open, asks for nothing
		return
	}
	f, known := s.flows.find(remote)
	if !known && s.edge.standing.Banned(remote.Addr()) {
		s.edge.reject(s.cfg, "banned")
		return
	}
	if stun.Is(b) {
		s.stun(remote, b, known)
		return
	}
	err := m.Scan(b, s.edge.cfg.Limits.Message)
	if !known && !s.afford(remote.Addr()) && (err != nil || !s.recognises(remote, m)) {
		s.edge.reject(s.cfg, "rate")
		return
	}
	if f == nil {
		f = s.flow(remote)
	}
	f.heard = came
	if err != nil {
		s.edge.refuse(f, m, err)
		return
	}
	s.edge.dispatch(ctx, f, m)
}

// isKeepAlive reports whether a datagram holds nothing.
func isKeepAlive(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// stun answers a keep-alive. The shortest request is 20 bytes, its answer 32 or 44: too much for an address that may be
// forged. Phones ask on flows that they have registered over (RFC 5626 §4.4.2); strangers have to write more than they get.
func (s *socket) stun(remote netip.AddrPort, b []byte, known bool) {
	s.edge.passing("STUN")
	reply := stun.Reply(b, remote)
	switch {
	case reply == nil, !known && !s.afford(remote.Addr()):
		s.edge.reject(s.cfg, "stun")
		return
	case !known && !worth(len(b), len(reply)):
		s.edge.reject(s.cfg, "amplification")
		return
	}
	s.edge.count.keepAlives.Add(1)
	datagramSender{s, remote}.send(reply)
}

// recognises finds a device that proved who it is before, at another port: a flood from its address is not its fault.
func (s *socket) recognises(remote netip.AddrPort, m *wire.Message) bool {
	if !m.Is("REGISTER") {
		return false
	}
	r := s.edge.registering()
	defer s.edge.registers.Put(r)
	if readRegister(&r.req, registrar.Flow{Remote: remote}, m) != "" {
		return false
	}
	who := s.edge.callerOf(&r.req)
	return s.edge.standing.Recognises(&who)
}

// flow returns the flow of a remote, remembered or new.
func (s *socket) flow(remote netip.AddrPort) *flow {
	return s.flows.of(remote, func() *flow {
		return s.edge.newFlow(s.cfg, remote, datagramSender{s, remote})
	})
}

// afford takes one reply off the budget of an address: whoever writes somebody else's address on his packets gets
// little out of it.
func (s *socket) afford(a netip.Addr) bool {
	perSecond := s.edge.cfg.Limits.UDPReplies
	return s.budget.Use(guard.Source(a), func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(perSecond), burstSeconds*perSecond)
	}).Allow()
}

// datagramSender answers to where the packet came from, whatever Via says: RFC 3261 §18.2.2 would send to the port in
// Via when there is no rport (RFC 3581), which reaches nobody behind a NAT and lets a stranger aim our answers.
type datagramSender struct {
	socket *socket
	remote netip.AddrPort
}

func (d datagramSender) send(b []byte) { d.socket.outgoing.Send(b, d.remote) }

// remotes is the flow table of a socket, bounded twice, so that a flood of strangers cannot push out the remotes that
// authenticated.
type remotes struct {
	strangers, known *bounded.Map[netip.AddrPort, *flow]
}

func newRemotes(limit int) remotes {
	return remotes{
		strangers: bounded.NewMap[netip.AddrPort, *flow](limit / 2), known: bounded.NewMap[netip.AddrPort, *flow](limit / 2),
	}
}

// find returns the flow of a remote if there is one, and whether somebody proved who they are on it.
func (r remotes) find(remote netip.AddrPort) (f *flow, known bool) {
	if f, ok := r.known.Find(remote); ok {
		return f, true
	}
	f, ok := r.strangers.Find(remote)
	if ok && f.known.Load() {
		r.known.Set(remote, f)
		r.strangers.Remove(remote)
		return f, true
	}
	return f, false
}

func (r remotes) of(remote netip.AddrPort, create func() *flow) *flow {
	if f, ok := r.find(remote); ok {
		return f
	}
	return r.strangers.Use(remote, create)
}

// resume takes a remote in that proved who it is before.
func (r remotes) resume(remote netip.AddrPort, f *flow) {
	f.prove()
	r.known.Set(remote, f)
}

func (r remotes) len() int { return r.strangers.Len() + r.known.Len() }
