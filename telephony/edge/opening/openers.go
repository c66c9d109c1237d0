package opening

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip/transaction"
)

// Config says how connections are opened, and where requests go on from here. None of it is called with a lock held.
type Config struct {
	// Closed reports whether a way leads through a proxy to which no connection is open.
	Closed func(way signal.Way) bool
	// Open opens the way, and returns the flow that it has from then on. It may take long.
	Open func(ctx context.Context, way signal.Way) (telephony.Flow, error)
	// Send sends a request over the ways that are open by now; Cancel gives one up that was sent.
	Send   func(out *signal.Outgoing)
	Cancel func(tx signal.TxID, reason string)
	// Failed tells of a request that was not sent: 503, or 487 when it was given up.
	Failed func(transaction.Failure)
	// Unreached counts a way that could not be opened, by the listener that it belonged to.
	Unreached func(listener string)
	// Fault takes what a panic says.
	Fault func(value any)
}

// Openers open connections to proxies for requests of calls that find none open. Requests for one proxy wait in one
// queue, so that they keep their order, and one that is dead holds up nobody else's.
type Openers struct {
	cfg    Config
	seed   maphash.Seed
	queues [openerCount]chan *opening
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup

	mu  sync.Mutex
	all map[signal.TxID]*opening // that wait for a connection
}

// opening is a way to be opened, and the request that waits for that; one without is for a later attempt.
type opening struct {
	way    signal.Way
	out    *signal.Outgoing
	queued time.Time
	cancel bool
	reason string // of the CANCEL
}

const (
	openerCount = 8
	maxOpenings = 256 // in each queue
)

// New returns openers that wait for Start.
func New(c Config) *Openers {
	o := &Openers{cfg: c, seed: maphash.MakeSeed(), all: make(map[signal.TxID]*opening)}
	o.life, o.end = context.WithCancel(context.Background())
	for i := range o.queues {
		o.queues[i] = make(chan *opening, maxOpenings)
	}
	return o
}

// Start begins to open.
func (o *Openers) Start() {
	for _, q := range o.queues {
		o.work.Go(func() { o.run(q) })
	}
}

// Stop ends what is being opened, and returns when nothing runs any more.
func (o *Openers) Stop() {
	o.end()
	o.work.Wait()
}

// Take takes a request whose first way has to be opened, and reports whether it did: else it can be sent. Further ways are opened meanwhile:
// they may be needed.
func (o *Openers) Take(out *signal.Outgoing) bool {
	waits := false
	for i, way := range out.Ways {
		if way.Path == "" || !o.cfg.Closed(way) {
			continue
		}
		op := &opening{way: way, queued: time.Now()}
		if i == 0 {
			kept := *out
			op.out = &kept
		}
		waits = o.queue(op) && i == 0 || waits
	}
	return waits
}

// queue reports whether there was room.
func (o *Openers) queue(op *opening) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.queues[maphash.Comparable(o.seed, op.way.Flow.Remote.Addr())%openerCount] <- op:
	default:
		return false
	}
	if op.out != nil {
		o.all[op.out.Tx] = op
	}
	return true
}

// Cancel notes that a request that waits is not wanted any more; false when none waits.
func (o *Openers) Cancel(tx signal.TxID, reason string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	op := o.all[tx]
	if op != nil {
		op.cancel, op.reason = true, reason
	}
	return op != nil
}

// fault is why a proxy was not reached, and when.
type fault struct {
	proxy netip.Addr
	at    time.Time
	err   error
}

func (o *Openers) run(queue chan *opening) {
	var last fault
	for {
		select {
		case op := <-queue:
			o.open(op, &last)
		case <-o.life.Done():
			return
		}
	}
}

// open opens a way. What was queued before the proxy was last found dead does not wait for it again.
func (o *Openers) open(op *opening, last *fault) {
	defer func() {
		if value := recover(); value != nil {
			o.cfg.Fault(value)
		}
	}()
	proxy := op.way.Flow.Remote.Addr()
	if last.proxy == proxy && op.queued.Before(last.at) {
		o.failed(op, last.err)
		return
	}
	f, err := o.cfg.Open(o.life, op.way)
	if err != nil {
		*last = fault{proxy, time.Now(), err}
		o.failed(op, err)
		return
	}
	if op.out != nil {
		op.out.Ways = append([]signal.Way{op.way}, op.out.Ways[1:]...)
		op.out.Ways[0].Flow = f
		o.launch(op)
	}
}

// failed goes on with the next way of a request, or ends it.
func (o *Openers) failed(op *opening, err error) {
	if op.out == nil {
		return
	}
	op.out.Ways = op.out.Ways[1:]
	if len(op.out.Ways) > 0 && !o.given(op) {
		o.cfg.Unreached(op.way.Flow.Listener)
		if o.cfg.Closed(op.out.Ways[0]) {
			next := *op
			next.way, next.queued = op.out.Ways[0], time.Now()
			if o.queue(&next) {
				return
			}
		}
		o.launch(op)
		return
	}
	o.cfg.Unreached(op.way.Flow.Listener)
	status, reason := 503, "the proxy in front of the phone cannot be reached: "+err.Error()
	if o.done(op) {
		status, reason = 487, "the call was given up"
	}
	o.cfg.Failed(transaction.Failure{Tx: op.out.Tx, Method: op.out.Method, Status: status, Reason: reason, Way: op.way})
}

// launch sends a request that has waited.
func (o *Openers) launch(op *opening) {
	if o.given(op) {
		o.done(op)
		o.cfg.Failed(transaction.Failure{Tx: op.out.Tx, Method: op.out.Method, Status: 487, Reason: "the call was given up", Way: op.way})
		return
	}
	o.cfg.Send(op.out)
	if o.done(op) { // meanwhile
		o.cfg.Cancel(op.out.Tx, op.reason)
	}
}

// given reports whether a request was given up.
func (o *Openers) given(op *opening) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[op.out.Tx] != nil && o.all[op.out.Tx].cancel
}

// done forgets a request that waited, and reports whether it was given up.
func (o *Openers) done(op *opening) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.all[op.out.Tx]
	delete(o.all, op.out.Tx)
	if now != nil {
		op.reason = now.reason
	}
	return now != nil && now.cancel
}
