package edge

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/transport"
	"demarc/telephony/wire"
)

// stream is one connection of a phone: its one reader, and its outbox.
type stream struct {
	edge   *Edge
	cfg    Listener
	beside *Listener // that it may turn out to belong to
	raw    net.Conn
	nc     net.Conn   // what is read from and written to: raw in some way, or TLS over it
	web    *webSocket // for ws and wss
	flow   *flow
	ticket *guard.Ticket
	begun  bool // its first message came

	dialled bool // we opened it, to a proxy

	deadlines sync.Mutex // so that a wake is not undone
	readBy    time.Time  // the read deadline
	writeBy   time.Time  // the write deadline; the writer's own
	waiting   bool       // between messages; written by the reader alone
	since     time.Time  // since when it waits
	resting   bool       // it has given up its memory; written by the reader alone
	firstBy   time.Time  // when the first message must have come
	out       transport.Outbox
}

func newStream(e *Edge, l Listener, nc net.Conn, t *guard.Ticket) *stream {
	s := &stream{edge: e, cfg: l, raw: nc, nc: transport.Direct(nc), ticket: t}
	s.out.OutboxConfig = transport.OutboxConfig{
		Flush: s.flushStream, Cut: s.abandon, Buffers: &e.buffers,
		Slow:  func() { e.reject(l, "slow_reader") },
		Fault: func(value any) { e.panicked("write", value) },
	}
	return s
}

func (s *stream) serve(ctx context.Context) {
	defer func() { _ = s.raw.Close() }()
	if s.flow.gone == nil {
		s.flow.gone = make(chan struct{})
	}
	s.edge.streams.Store(s, struct{}{})
	defer s.edge.streams.Delete(s)
	if !s.dialled && !s.handshake(ctx) {
		return
	}
	s.edge.live.Store(s.flow.ID, s.flow)
	s.firstBy = time.Now().Add(s.edge.cfg.Limits.FirstMessage)
	if s.web == nil && s.edge.isProxy(s.flow.Remote.Addr()) {
		s.out.Beside(func() { s.hold(ctx) })
	}
	s.take(ctx)
	s.finish(ctx)
}

// take serves the stream until it ends. A panic that is no single message's ends it too.
func (s *stream) take(ctx context.Context) {
	defer s.edge.recovered("stream")
	if s.web != nil {
		s.web.read(ctx)
	} else {
		s.read(ctx)
	}
}

// handshake does what comes before the first message, all of it within one deadline.
func (s *stream) handshake(ctx context.Context) (ok bool) {
	defer s.edge.recovered("handshake")
	ctx, cancel := context.WithTimeout(ctx, s.edge.cfg.Limits.Handshake)
	defer cancel()
	s.edge.passing("handshake")
	if s.cfg.Transport.Secure() {
		tc := tls.Server(s.nc, s.cfg.TLS)
		if err := tc.HandshakeContext(ctx); err != nil {
			s.edge.handshakeFailed(s.flow.Flow, err)
			return false
		}
		s.nc = tc
	}
	if s.beside != nil && !s.sort() {
		return false
	}
	if s.cfg.Transport != telephony.WS && s.cfg.Transport != telephony.WSS {
		return true
	}
	web, refused := upgrade(ctx, s)
	if refused != "" {
		s.edge.count.handshakes.add(Reject{s.cfg.Name, refused}, 1)
		return false
	}
	s.web = web
	return true
}

// read takes messages in order until the stream ends, breaks a rule, or the edge stops.
func (s *stream) read(ctx context.Context) {
	framer := wire.NewFramer(s.edge.cfg.Limits.Message)
	pending := false
	for {
		ready := true
		switch {
		case framer.Pending() && !pending: // from a message's first byte: what drips in later extends nothing
			ready = s.readUntil(s.early(time.Now().Add(s.edge.cfg.Limits.MessageTime)))
		case !framer.Pending() && !s.resting:
			ready = s.await()
		}
		pending = framer.Pending()
		if !ready || s.edge.isStopping() {
			return
		}
		n, err := s.nc.Read(framer.Space())
		if n == 0 && !framer.Pending() && s.rest(err) {
			framer.Rest()
			continue
		}
		framer.Fill(n)
		s.roused()
		s.out.Cork()
		whole, ok := s.drain(ctx, framer)
		s.out.Uncork()
		if err != nil || !ok {
			s.ended(err, pending)
			return
		}
		if whole {
			pending = false
		}
	}
}

// drain handles everything whole. ok is false when the stream is out of step and must close.
func (s *stream) drain(ctx context.Context, framer *wire.Framer) (whole, ok bool) {
	m := s.edge.message()
	defer s.edge.messages.Put(m)
	came := s.edge.cfg.Now()
	for {
		event, err := framer.Next(m)
		s.flow.heard = came
		if err != nil && event != wire.Whole {
			s.edge.refuse(s.flow, m, err)
			return whole, false
		}
		switch event {
		case wire.More:
			return whole, true
		case wire.Ping: // RFC 5626 §4.4.1
			s.edge.count.keepAlives.Add(1)
			s.out.Send([]byte("\r\n"))
		case wire.Whole:
			if s.edge.isStopping() {
				return whole, false
			}
			s.first()
			if s.edge.silent(s.flow) {
				s.edge.reject(s.cfg, "banned")
				return whole, false
			}
			if err != nil {
				s.edge.refuse(s.flow, m, err)
			} else {
				s.edge.dispatch(ctx, s.flow, m)
			}
		}
		whole = true
	}
}

// first notes that the peer said something whole: the connection is half open no more. Keep-alives say nothing.
func (s *stream) first() {
	if !s.begun {
		s.begun = true
		s.edge.guard.First(s.ticket)
	}
}

// abandon closes the connection without further words.
func (s *stream) abandon() { _ = s.raw.Close() }

// finish ends the flow: what is in hand is answered and written, and only then is the flow gone for the handler, so
// that no registration can come after its end.
func (s *stream) finish(ctx context.Context) {
	s.edge.live.Delete(s.flow.ID)
	close(s.flow.gone)
	s.edge.signalling.flowGone(s.flow)
	s.flow.inHand.wait(ctx)
	if s.web != nil {
		s.web.stopPings()
	}
	s.out.Finish()
	if s.web != nil {
		s.web.goodbye()
	}
	_ = s.nc.Close()
	if s.flow.handed {
		s.edge.flowClosed(s.flow.Flow)
	}
}

func (s *stream) flushStream(b []byte, _ []int) error {
	s.edge.passing("write")
	now, patience := time.Now(), s.edge.cfg.Limits.Write
	if s.writeBy.Sub(now) < patience { // a little late, as above
		s.writeBy = now.Add(patience + patience/slack)
		_ = s.nc.SetWriteDeadline(s.writeBy)
	}
	_, err := s.nc.Write(b)
	return err
}

// message returns a message to scan into; it goes back to e.messages.
func (e *Edge) message() *wire.Message {
	if m, ok := e.messages.Get().(*wire.Message); ok {
		return m
	}
	return new(wire.Message)
}
