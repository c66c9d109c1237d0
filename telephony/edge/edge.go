package edge

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/edge/guard"
	"demarc/telephony/edge/transport"
	"demarc/telephony/sip"
)

// Edge serves SIP on its listeners. New, Listen, Serve, in this order, each once.
type Edge struct {
	cfg       Config
	log       *slog.Logger
	logRate   *rate.Limiter // for lines that strangers can cause
	faultRate *rate.Limiter // for faults of strangers that are told on
	handler   Handler
	atOnce    AtOnce // the handler, when it is one
	tagSeed   maphash.Seed
	guard     *guard.Connections
	standing  *guard.Standing
	count     counters
	buffers   transport.Buffers
	messages  sync.Pool // of *wire.Message, for streams
	registers sync.Pool // of *registering
	flowIDs   atomic.Uint64

	acceptors []*acceptor
	sockets   []*socket

	stopping   chan struct{}   // closed when no new message is taken
	reaching   [16]sync.Mutex  // by address: held while a connection is opened
	dialling   sync.Mutex      // so that no connection is begun once stopping is closed
	work       context.Context // of what is served; nil before Serve
	readers    sync.WaitGroup  // accept loops, readers and writers
	inHand     inHand          // requests without their reply
	clients    *sip.Clients    // requests that we sent
	servers    *sip.Transactions
	signalling *Signalling
	watchers   Subscriptions // the handler, when it is one
	allow      string        // methods
	live       sync.Map      // number of an open stream's flow → *flow
	streams    sync.Map      // *stream → struct{}: to be woken when the edge stops

	locals *bounded.Map[netip.Addr, localTo] // which of our addresses lead to peers, for UDP

	failpoint atomic.Pointer[func(where string)] // of tests
}

// New returns an edge; nothing is open yet.
func New(cfg Config) (*Edge, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Edge{
		cfg: cfg, log: cfg.Log, logRate: rate.NewLimiter(5, 20), faultRate: rate.NewLimiter(5, 50), tagSeed: maphash.MakeSeed(),
		locals: bounded.NewMap[netip.Addr, localTo](maxLocals),
		guard:  guard.NewConnections(cfg.Limits.guard()), standing: guard.NewStanding(cfg.Limits.guard(), cfg.Proxies, cfg.Now),
		stopping: make(chan struct{}), inHand: newInHand(),
		clients: sip.NewClients(cfg.Timers, maxSent), servers: sip.NewTransactions(cfg.Timers, maxServed), allow: allow,
	}
	// Flow numbers go on where an earlier life cannot have come to: no two flows of a node ever share one.
	e.flowIDs.Store(uint64(time.Now().UnixNano()))
	e.signalling = newSignalling(e)
	return e, nil
}

// Listen opens all listeners, or none.
func (e *Edge) Listen(ctx context.Context) error {
	for _, l := range e.cfg.Listeners {
		if l.Shares != "" {
			continue
		}
		if err := e.open(ctx, l); err != nil {
			e.close()
			return fmt.Errorf("edge: listener %q cannot listen on %s over %s: %w", l.Name, l.Address, l.Transport, err)
		}
	}
	for _, l := range e.cfg.Listeners {
		for _, a := range e.acceptors {
			if l.Shares == a.cfg.Name {
				a.web = &l
			}
		}
	}
	e.signalling.listens()
	return nil
}

func (e *Edge) open(ctx context.Context, l Listener) error {
	// A peer that vanished without a word is found after two minutes.
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4,
	}}
	if l.Transport == telephony.UDP {
		pc, err := lc.ListenPacket(ctx, "udp", l.Address)
		if err != nil {
			return err
		}
		_ = pc.(*net.UDPConn).SetReadBuffer(socketBuffer) // the kernel may allow less
		s, err := newSocket(e, l, pc.(*net.UDPConn))
		if err != nil {
			return errors.Join(err, pc.Close())
		}
		e.sockets = append(e.sockets, s)
		return nil
	}
	ln, err := lc.Listen(ctx, "tcp", l.Address)
	if err != nil {
		return err
	}
	e.acceptors = append(e.acceptors, &acceptor{edge: e, cfg: l, ln: ln})
	return nil
}

// Serve takes messages until ctx ends. It then stops: no new connections and messages, work in hand finished for at
// most Limits.Stop, flows closed and reported, all goroutines waited for. It returns nil after that.
func (e *Edge) Serve(ctx context.Context, h Handler) error {
	if len(e.acceptors)+len(e.sockets) == 0 {
		return errors.New("edge: Serve before Listen")
	}
	e.handler = h
	e.atOnce, _ = h.(AtOnce)
	if e.watchers, _ = h.(Subscriptions); e.watchers != nil {
		e.allow += ", SUBSCRIBE"
	}
	if calls, ok := h.(Calls); ok {
		e.allow += ", " + callMethods
		e.signalling.start(calls)
	}
	defer e.signalling.stop()
	defer e.servers.Close()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	e.dialling.Lock()
	e.work = work
	e.dialling.Unlock()
	for _, a := range e.acceptors {
		e.readers.Go(func() { a.accept(work) })
	}
	for _, s := range e.sockets {
		e.readers.Go(func() { s.read(work) })
		e.readers.Go(s.lookInto)
	}
	<-ctx.Done()
	e.stop(work, cancel)
	return nil
}

func (e *Edge) stop(work context.Context, cancel context.CancelFunc) {
	e.dialling.Lock()
	close(e.stopping)
	e.dialling.Unlock()
	for _, a := range e.acceptors {
		_ = a.ln.Close()
	}
	for _, s := range e.sockets {
		_ = s.conn.SetReadDeadline(past())
	}
	e.streams.Range(func(s, _ any) bool {
		s.(*stream).wake()
		return true
	})
	late := time.AfterFunc(e.cfg.Limits.Stop, func() {
		cancel()
		e.streams.Range(func(s, _ any) bool {
			s.(*stream).abandon()
			return true
		})
	})
	defer late.Stop()
	e.readers.Wait()
	if !e.inHand.wait(work) {
		e.log.Error("the edge stopped while replies were still due", "replies", e.inHand.n.Load())
	}
	e.close()
}

func (e *Edge) close() {
	for _, a := range e.acceptors {
		_ = a.ln.Close()
	}
	for _, s := range e.sockets {
		_ = s.conn.Close()
	}
}

// Remember says that a device proved who it is at a time, before this process: after a restart its source is not banned
// for what others there do, and the device comes before strangers.
func (e *Edge) Remember(f telephony.Flow, aor telephony.AoR, instance, callID string, at time.Time) {
	if e.cfg.Now().Sub(at) < e.cfg.Limits.Trust {
		c := e.standing.Caller(aor, f.Remote.Addr())
		c.Instance, c.CallID = instance, callID
		e.standing.Proven(&c, at)
	}
}

// Resume takes up the flow of a phone that registered over UDP in this node's earlier life: its keep-alives are answered as
// before. A stream does not outlive its process.
func (e *Edge) Resume(f telephony.Flow) {
	for _, s := range e.sockets {
		if s.cfg.Name == f.Listener && !f.Transport.Stream() && f.Remote.IsValid() {
			p := s.pair(f)
			s.flows.resume(p, s.newFlow(p))
		}
	}
}

func (e *Edge) isStopping() bool {
	select {
	case <-e.stopping:
		return true
	default:
		return false
	}
}

func (e *Edge) newFlow(l Listener, remote netip.AddrPort, w sender) *flow {
	own := telephony.Flow{ID: e.flowIDs.Add(1), Listener: l.Name, Transport: l.Transport, Remote: unmapped(remote)}
	return &flow{
		Flow: own, key: e.transactionKey(own, ""), writer: w, local: e.Addr(l.Name), inHand: newInHand(),
	}
}

// socketBuffer holds what arrives while the one reader of a socket is busy: some two thousand requests.
const socketBuffer = 2 << 20

// past is a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }
