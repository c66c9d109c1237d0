package events

import (
	"cmp"
	"context"
	"hash/fnv"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/bounded"
	"demarc/telephony"
)

// Config of a Service. Auth, Directory, Registrations and Sender are needed.
type Config struct {
	Auth          Authenticator
	Directory     Directory
	Registrations Registrations
	Sender        Sender
	Messages      Messages  // nil: nobody has any
	Dialogs       Dialogs   // nil: everybody is idle
	Timeline      Timeline  // nil: nobody is told
	Elsewhere     Elsewhere // nil: there is no other node

	MinExpires     time.Duration // 1 min when 0
	DefaultExpires time.Duration // 1 h when 0
	MaxExpires     time.Duration // 2 h when 0
	Deadline       time.Duration // of a NOTIFY's answer; 33 s when 0, timer F
	Pause          time.Duration // between two NOTIFYs of one subscription; 1 s when 0
	PerUser        int           // subscriptions of one user, and last NOTIFYs of such; 64 when 0: a desk phone watches many lamps
	Total          int           // subscriptions in all; 50,000 when 0
	Queue          int           // SUBSCRIBEs that may wait; 1024 when 0
	Tick           time.Duration // how often expiry is looked at; 250 ms when 0

	Now func() time.Time
	Log *slog.Logger
}

const (
	workers    = 4
	retryAfter = 5

	// A user's timeline is told every so often that NOTIFYs failed, for so many users that were told last.
	toldEvery = time.Minute
	mostTold  = 4096
)

// Service is the notifier of one node. Its methods are safe for concurrent use.
type Service struct {
	Config
	registrations Registrations
	messages      Messages
	dialogs       Dialogs
	now           func() time.Time

	queues [workers]chan job
	table  table
	tally  [2]atomic.Uint64 // NOTIFYs sent, failed
	panics atomic.Uint64
	told   *bounded.Map[telephony.AoR, time.Time]

	life    context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup
	sending sync.WaitGroup
}

type job struct {
	req   *Request
	reply func(Reply)
}

// Counters is a snapshot of what the service holds and has done.
type Counters struct {
	Subscriptions map[string]int // by package
	Notified      uint64
	Failed        uint64 // NOTIFYs without an answer, or refused
	Panics        uint64 // faults of the program
}

// New returns a service that holds nothing yet.
func New(c Config) *Service {
	c.MinExpires = cmp.Or(c.MinExpires, time.Minute)
	c.DefaultExpires = cmp.Or(c.DefaultExpires, time.Hour)
	c.MaxExpires = cmp.Or(c.MaxExpires, 2*time.Hour)
	c.Deadline = cmp.Or(c.Deadline, 33*time.Second)
	c.Pause = cmp.Or(c.Pause, time.Second)
	c.PerUser = cmp.Or(c.PerUser, 64)
	c.Total = cmp.Or(c.Total, 50_000)
	c.Queue = cmp.Or(c.Queue, 1024)
	c.Tick = cmp.Or(c.Tick, 250*time.Millisecond)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		Config: c, registrations: c.Registrations, messages: c.Messages, dialogs: c.Dialogs, now: c.Now,
		table: newTable(c.Elsewhere), told: bounded.NewMap[telephony.AoR, time.Time](mostTold),
	}
	s.life, s.stop = context.WithCancel(context.Background())
	for i := range s.queues {
		s.queues[i] = make(chan job, max(1, c.Queue/workers))
	}
	return s
}

// Start begins to work.
func (s *Service) Start() {
	for _, queue := range s.queues {
		s.work.Go(func() { s.serve(queue) })
	}
	s.work.Go(s.watch)
}

// Stop ends every subscription, so that phones subscribe anew at once (RFC 6665 §4.1.3), and returns when nothing runs
// any more. The context bounds the goodbyes.
func (s *Service) Stop(ctx context.Context) error {
	for _, sub := range s.table.drain() {
		s.send(sub)
	}
	s.table.mu.Lock()
	s.table.closed = true
	s.table.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.sending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(farewell):
	}
	s.stop()
	<-done
	s.work.Wait()
	return nil
}

// farewell is how long a stop waits for phones to take their last NOTIFY.
const farewell = 2 * time.Second

// Subscribe serves a SUBSCRIBE. It never blocks; reply is called exactly once, from another goroutine, or at once with
// 503 when too much is waiting or the service has stopped.
func (s *Service) Subscribe(_ context.Context, req *Request, reply func(Reply)) {
	queue := s.queues[fingerprint(req.CallID)%workers]
	select {
	case queue <- job{req, reply}: // those of one dialog stay in order
	default:
		reply(unavailable())
	}
	if s.life.Err() != nil { // nobody may be left who takes it
		refuse(queue)
	}
}

// refuse answers what waits in a queue that nobody serves any more.
func refuse(queue <-chan job) {
	for {
		select {
		case j := <-queue:
			j.reply(unavailable())
		default:
			return
		}
	}
}

func unavailable() Reply { return Reply{Status: 503, RetryAfter: retryAfter, Expires: -1} }

// Changed says that an AoR's state in a package may have changed. It never blocks.
func (s *Service) Changed(event string, aor telephony.AoR) {
	for _, sub := range s.table.watching(event, aor) {
		s.tell(sub)
	}
}

// FlowClosed says that a connection has closed: its subscriptions have ended with it, and who comes back subscribes anew, at the
// latest after a 481.
func (s *Service) FlowClosed(f telephony.Flow) { s.table.over(f.ID) }

// Counters returns a snapshot.
func (s *Service) Counters() Counters {
	return Counters{
		Subscriptions: s.table.count(), Notified: s.tally[0].Load(), Failed: s.tally[1].Load(), Panics: s.panics.Load(),
	}
}

func (s *Service) serve(queue <-chan job) {
	for {
		select {
		case j := <-queue:
			s.handle(j)
		case <-s.life.Done():
			refuse(queue)
			return
		}
	}
}

// handle answers one SUBSCRIBE; a panic ends that one alone.
func (s *Service) handle(j job) {
	answered := false
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked("SUBSCRIBE", fault)
			if !answered {
				j.reply(Reply{Status: 500, Expires: -1})
			}
		}
	}()
	r, after := s.decide(s.life, j.req)
	answered = true
	j.reply(r)
	if after != nil {
		after() // the NOTIFY goes out after the 200
	}
}

// panicked counts and logs a fault of the program. What it says is logged only when it is the runtime's: other values
// could hold parts of a message.
func (s *Service) panicked(where string, fault any) {
	s.panics.Add(1)
	known, _ := fault.(runtime.Error)
	s.Log.Error("panic while an event was served", "in", where, "error", known, "stack", string(debug.Stack()))
}

// watch ends subscriptions and sends what had to wait.
func (s *Service) watch() {
	tick := time.NewTicker(s.Tick)
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
		}
		ended, due := s.table.due(s.now())
		for _, sub := range ended {
			s.send(sub)
		}
		for _, sub := range due {
			s.tell(sub)
		}
	}
}

func fingerprint(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}
