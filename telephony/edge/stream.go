package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/transport"
	"demarc/telephony/wire"
)

// acceptor is one TCP, TLS, WS or WSS listener.
type acceptor struct {
	edge *Edge
	cfg  Listener
	web  *Listener // the WebSocket listener that shares the address; nil: none does
	ln   net.Listener
}

func (a *acceptor) accept(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		nc, err := a.ln.Accept()
		if err == nil {
			a.admit(ctx, nc)
			continue
		}
		if a.edge.isStopping() {
			return
		}
		// Most likely too many open files: connections that end will help.
		a.edge.reject(a.cfg, "accept")
		pause.Reset(50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-a.edge.stopping:
			return
		}
	}
}

func (a *acceptor) admit(ctx context.Context, nc net.Conn) {
	e := a.edge
	remote := nc.RemoteAddr().(*net.TCPAddr).AddrPort()
	if e.standing.Banned(remote.Addr()) {
		e.reject(a.cfg, "banned")
		_ = nc.Close()
		return
	}
	ticket, full := e.guard.Admit(remote.Addr(), func() {
		e.reject(a.cfg, "displaced")
		_ = nc.Close()
	})
	if ticket == nil {
		e.reject(a.cfg, full)
		_ = nc.Close()
		return
	}
	e.count.accepted.add(a.cfg.Name, 1)
	e.count.open.add(a.cfg.Name, 1)
	e.readers.Go(func() {
		defer e.guard.Leave(ticket)
		defer e.count.open.add(a.cfg.Name, -1)
		s := newStream(e, a.cfg, nc, ticket)
		s.flow = e.newFlow(a.cfg, remote, &s.out)
		s.flow.local = unmapped(nc.LocalAddr().(*net.TCPAddr).AddrPort())
		s.flow.rearm, s.beside = s.rearm, a.web
		s.serve(ctx)
	})
}

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
	out       outbox
}

func newStream(e *Edge, l Listener, nc net.Conn, t *guard.Ticket) *stream {
	s := &stream{edge: e, cfg: l, raw: nc, nc: transport.Direct(nc), ticket: t}
	s.out.buffers = &e.buffers
	s.out.flush = s.flushStream
	s.out.cut = s.abandon
	s.out.slow = func() { e.reject(l, "slow_reader") }
	s.out.fault = func(value any) { e.panicked("write", value) }
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
		s.out.writers.Go(func() { s.hold(ctx) })
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
		s.out.cork()
		whole, ok := s.drain(ctx, framer)
		s.out.uncork()
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
			s.out.send([]byte("\r\n"))
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

// idle is how long the peer may be silent between messages. Whoever was told a Flow-Timer keeps to it, or its flow is dead
// (RFC 5626 §5.4); over a WebSocket our own pings ask for signs of life.
func (s *stream) idle() time.Duration {
	limits := s.edge.cfg.Limits
	if timer := s.flow.timer.Load(); timer > 0 && s.web == nil {
		return min(time.Duration(timer)*time.Second+limits.FlowGrace, limits.KnownIdle)
	}
	if s.flow.known.Load() {
		return limits.KnownIdle
	}
	return limits.Idle
}

// early returns the time, or an earlier one by which the first message must have come.
func (s *stream) early(t time.Time) time.Time {
	if !s.begun && t.After(s.firstBy) {
		return s.firstBy
	}
	return t
}

// await sets the read deadline of a peer that may be silent from now on; it reports false when the edge stops.
func (s *stream) await() bool {
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	s.waiting, s.since = true, time.Now()
	return s.setIdle()
}

// rearm sets the deadline again after a reply, whose request may have changed how long the peer may be silent. Nothing
// extends the time of a message under way. Who has proved something keeps the connection.
func (s *stream) rearm() {
	if s.flow.known.Load() {
		s.edge.guard.Proven(s.ticket)
	}
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	if s.waiting {
		s.setIdle()
	}
}

// rest reports whether a peer that has said nothing for a moment may go on so: then its memory can go until it speaks.
func (s *stream) rest(err error) bool {
	if s.resting || !s.begun || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	s.resting = true
	return time.Since(s.since) < s.idle() && s.setIdle()
}

// roused ends the rest.
func (s *stream) roused() {
	if s.resting {
		s.deadlines.Lock()
		defer s.deadlines.Unlock()
		s.resting = false
	}
}

// restAfter is how long a connection keeps the memory for its next message.
const restAfter = 4 * time.Second

// setIdle sets the deadline of a silent peer, a little late: so it need not be moved with every message.
func (s *stream) setIdle() bool {
	idle := s.idle()
	if !s.resting && s.begun && s.web == nil {
		idle = min(idle, restAfter)
	}
	due := s.early(s.since.Add(idle))
	if late := s.readBy.Sub(due); late >= 0 && late <= idle/slack && s.begun {
		return !s.edge.isStopping()
	}
	if s.begun {
		due = due.Add(idle / slack)
	}
	return s.set(due)
}

// slack is the part of a deadline that it may come late.
const slack = 16

// readUntil sets the read deadline of a message; it reports false when the edge stops.
func (s *stream) readUntil(t time.Time) bool {
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	s.waiting = false
	return s.set(t)
}

func (s *stream) set(deadline time.Time) bool {
	s.readBy = deadline
	return !s.edge.isStopping() && s.nc.SetReadDeadline(deadline) == nil
}

// wake ends a read under way: the edge stops. A handshake under way ends with it.
func (s *stream) wake() {
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	_ = s.raw.SetReadDeadline(past())
}

// abandon closes the connection without further words.
func (s *stream) abandon() { _ = s.raw.Close() }

func (s *stream) ended(err error, inMessage bool) {
	if !errors.Is(err, os.ErrDeadlineExceeded) || s.edge.isStopping() {
		return
	}
	switch {
	case inMessage:
		s.edge.reject(s.cfg, "slow_message")
	case !s.begun:
		s.edge.reject(s.cfg, "silent")
	case s.flow.timer.Load() > 0 && s.web == nil:
		s.edge.reject(s.cfg, "flow_timer")
	default:
		s.edge.reject(s.cfg, "idle")
	}
}

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
	s.out.finish()
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
