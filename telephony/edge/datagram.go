package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/read"
	"demarc/telephony/edge/stun"
	"demarc/telephony/edge/transport"
	"demarc/telephony/wire"
)

// socket is one UDP listener: one reader, everybody writes.
type socket struct {
	edge       *Edge
	cfg        Listener
	conn       *net.UDPConn
	everywhere bool // bound to all addresses: each flow has one of them
	incoming   *transport.Datagrams
	outgoing   *transport.Departures
	flows      remotes
	budget     *bounded.Map[netip.Addr, *rate.Limiter] // replies to addresses that never authenticated
	losses     chan loss                               // to be looked into
	gone       *bounded.Map[netip.Addr, time.Time]     // addresses of ours that were found to have gone, and when
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
	s := &socket{
		edge: e, cfg: l, conn: conn, everywhere: d.Everywhere(), incoming: d,
		flows:  newRemotes(e.cfg.Limits.UDPFlows),
		budget: bounded.NewMap[netip.Addr, *rate.Limiter](budgetSources),
		losses: make(chan loss, maxLosses),
		gone:   bounded.NewMap[netip.Addr, time.Time](maxLocals),
	}
	s.outgoing = transport.NewDepartures(d.Write, s.lost)
	return s, nil
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
		b, remote, local := s.incoming.At(i)
		s.datagram(ctx, came, pair{remote, local}, b, m)
	}
}

func (s *socket) datagram(ctx context.Context, came time.Time, p pair, b []byte, m *wire.Message) {
	defer s.edge.recovered("datagram")
	remote := p.remote
	if remote.Port() == 0 || isKeepAlive(b) {
		s.edge.count.keepAlives.Add(1) // keeps NAT open, asks for nothing
		return
	}
	f, known := s.flows.find(p)
	if !known && s.edge.standing.Banned(remote.Addr()) {
		s.edge.reject(s.cfg, "banned")
		return
	}
	if stun.Is(b) {
		s.stun(p, b, known)
		return
	}
	err := m.Scan(b, s.edge.cfg.Limits.Message)
	if !known && !s.afford(remote.Addr()) && (err != nil || !s.recognises(remote, m)) {
		s.edge.reject(s.cfg, "rate")
		return
	}
	if f == nil {
		f = s.flow(p)
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
func (s *socket) stun(p pair, b []byte, known bool) {
	s.edge.passing("STUN")
	reply := stun.Reply(b, p.remote)
	switch {
	case reply == nil, !known && !s.afford(p.remote.Addr()):
		s.edge.reject(s.cfg, "stun")
		return
	case !known && !worth(len(b), len(reply)):
		s.edge.reject(s.cfg, "amplification")
		return
	}
	s.edge.count.keepAlives.Add(1)
	datagramSender{s, p}.Send(reply)
}

// recognises finds a device that proved who it is before, at another port: a flood from its address is not its fault.
func (s *socket) recognises(remote netip.AddrPort, m *wire.Message) bool {
	if !m.Is("REGISTER") {
		return false
	}
	r := s.edge.registering()
	defer s.edge.registers.Put(r)
	if read.Register(&r.req, telephony.Flow{Remote: remote}, m) != "" {
		return false
	}
	who := s.edge.callerOf(&r.req)
	return s.edge.standing.Recognises(&who)
}

// flow returns the flow between two addresses, remembered or new.
func (s *socket) flow(p pair) *flow {
	return s.flows.of(p, func() *flow { return s.newFlow(p) })
}

func (s *socket) newFlow(p pair) *flow {
	f := s.edge.newFlow(s.cfg, p.remote, datagramSender{s, p})
	if p.local.IsValid() {
		f.Local, f.local = p.local, netip.AddrPortFrom(p.local, f.local.Port())
		f.key = s.edge.transactionKey(f.Flow, "")
	}
	return f
}

// afford takes one reply off the budget of an address: whoever writes somebody else's address on his packets gets
// little out of it.
func (s *socket) afford(a netip.Addr) bool {
	perSecond := s.edge.cfg.Limits.UDPReplies
	return s.budget.Use(guard.Source(a), func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(perSecond), burstSeconds*perSecond)
	}).Allow()
}

// datagramSender answers to where the packet came from, and from where it came to, whatever Via says: RFC 3261 §18.2.2 would send to
// the port in Via when there is no rport (RFC 3581), which reaches nobody behind a NAT and lets a stranger aim our answers.
type datagramSender struct {
	socket *socket
	pair
}

func (d datagramSender) Send(b []byte) { d.socket.outgoing.Send(b, d.remote, d.local) }
