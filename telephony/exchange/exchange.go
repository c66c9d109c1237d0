package exchange

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"demarc/internal/account"
	"demarc/internal/wheel"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// Exchange runs the calls of one node.
type Exchange struct {
	cfg     Config
	ports   Ports
	gathers Gathering // Signalling, if it does that
	tokens  *tokens
	log     *slog.Logger
	now     func() time.Time
	workers []*worker
	tables  tables
	history *history
	habits  habits
	wheel   *wheel.Wheel
	count   counters
	serial  atomic.Uint64
	closed  atomic.Bool // no new calls
	told    *rate.Limiter
	stop    context.CancelFunc
	running sync.WaitGroup
}

// tables find the call that something belongs to.
type tables struct {
	calls   *index[telephony.CallID, *running]
	serials *index[uint64, *running]          // of transactions and media that calls began
	servers *index[signal.TxID, *running]     // INVITEs that came in, until they are over
	moved   *index[place, moved]              // legs that another call has adopted
	media   *index[telephony.MediaID, moved]  // their media
	people  *index[telephony.AoR, []*running] // who is in which calls
	account *index[account.ID, int]           // how many calls
}

// moved is where a leg went.
type moved struct {
	to  *running
	leg int
}

// running is a call that this node has. Its call belongs to its worker.
type running struct {
	worker *worker
	serial uint64
	call   *callswitch.Call // nil before the worker has begun it, and once it is over
	over   bool
	lasts  bool // it counts against the limit of the node
	known  bool // and of its account
	timer  wheel.Timer
	at     time.Time // when the timer ends; zero: not set
	// what is in the tables for it
	account account.ID
	people  []telephony.AoR
	servers []signal.TxID
	places  []place
	media   []telephony.MediaID
	early   []callswitch.Event // what came before the call was begun
	away    map[int][]item     // by leg: messages of legs that are being handed over
	asked   int                // requests under way that phones cause, see mostAsked
	landing map[int][]item     // by leg: messages of legs whose earlier ones are still to come from the call that had them

	seen snapshot
	kept bool      // among the worker's unsaved
	due  time.Time // when the history gets it
}

// New returns an exchange. Start begins its work.
func New(cfg Config) *Exchange {
	x := &Exchange{cfg: cfg, ports: cfg.Ports, tokens: newTokens(cfg.Key), log: cmp.Or(cfg.Logger, slog.Default()), now: cfg.Now,
		habits: newHabits(), told: rate.NewLimiter(toldPerSecond, toldAtOnce)}
	x.cfg.Limits = cfg.Limits.withDefaults()
	if x.now == nil {
		x.now = time.Now
	}
	if x.ports.Next == nil {
		x.ports.Next = straight{x.ports.Contacts, cfg.Ring}
	}
	number := func(n uint64) uint64 { return n }
	x.tables = tables{
		calls:   newIndex[telephony.CallID, *running](sum[telephony.CallID]),
		serials: newIndex[uint64, *running](number),
		servers: newIndex[signal.TxID, *running](func(tx signal.TxID) uint64 { return uint64(tx) }),
		moved:   newIndex[place, moved](func(p place) uint64 { return sum(p.call) + uint64(p.leg) }),
		media:   newIndex[telephony.MediaID, moved](func(m telephony.MediaID) uint64 { return uint64(m) }),
		people:  newIndex[telephony.AoR, []*running](func(a telephony.AoR) uint64 { return sum(a.User) ^ sum(a.Domain) }),
		account: newIndex[account.ID, int](sum[account.ID]),
	}
	x.gathers, _ = cfg.Ports.Signalling.(Gathering)
	x.history, x.wheel = newHistory(x), wheel.New(time.Second)
	for range cmp.Or(cfg.Workers, max(1, runtime.GOMAXPROCS(0)/2)) {
		x.workers = append(x.workers, newWorker(x))
	}
	x.history.handed = make(chan []telephony.CallChange, len(x.workers))
	return x
}

// Start begins to take calls. The calls that this node had before a crash are ended in the background, as soon as the store
// tells them.
func (x *Exchange) Start(ctx context.Context) {
	ctx, x.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, w := range x.workers {
		x.running.Go(func() { w.run(ctx) })
	}
	x.running.Go(func() { x.history.run(ctx) })
	x.running.Go(func() { x.claim(ctx) })
	if x.ports.Orphans != nil {
		x.running.Go(func() { x.watchHolders(ctx) })
	}
	if x.ports.Habits != nil {
		x.running.Go(func() { x.keepHabits(ctx) })
	}
}

// stopping is the cause of calls that a stop of the process ends.
var stopping = telephony.Cause{Who: telephony.Switch, Code: 503, Text: "The telephony server is being stopped."}

// goodbye is how long a stop waits for the phones' answers to its BYEs: one that is gone never answers.
const goodbye = 3 * time.Second

// Stop hangs up all calls, waits a moment for their ends and until ctx ends for the history, and stops the workers. It
// fails when history is lost.
func (x *Exchange) Stop(ctx context.Context) error {
	x.closed.Store(true)
	x.tables.calls.all(func(r *running) {
		r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Hangup{Cause: stopping}}})
	})
	defer x.wheel.Close()
	ends, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	if !until(ends, func() bool { return x.count.live.Load() == 0 }) {
		x.log.Warn("some phones did not answer that their calls end", "calls", x.count.live.Load())
	}
	written := until(ctx, func() bool { return x.history.waiting() == 0 })
	x.stop()
	x.running.Wait()
	if !written {
		return fmt.Errorf("the history of calls is not all written: %w", ctx.Err())
	}
	return nil
}

// until reports whether something came true before ctx ended.
func until(ctx context.Context, is func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
