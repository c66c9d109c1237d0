package edge

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"demarc/telephony/signal"
	"demarc/telephony/sip/transaction"
)

// openers open connections to proxies for requests of calls that find none open (ADR 13). Requests for one proxy wait in one
// queue, so that they keep their order, and one that is dead holds up nobody else's.
type openers struct {
	s      *Signalling
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

func newOpeners(s *Signalling) *openers {
	o := &openers{s: s, seed: maphash.MakeSeed(), all: make(map[signal.TxID]*opening)}
	o.life, o.end = context.WithCancel(context.Background())
	for i := range o.queues {
		o.queues[i] = make(chan *opening, maxOpenings)
	}
	return o
}

func (o *openers) start() {
	for _, q := range o.queues {
		o.work.Go(func() { o.run(q) })
	}
}

func (o *openers) stop() {
	o.end()
	o.work.Wait()
}

// take takes a request whose first way has to be opened. Further ways are opened meanwhile: they may be needed.
func (o *openers) take(out *signal.Outgoing) bool {
	waits := false
	for i, way := range out.Ways {
		if way.Path == "" || !o.s.closed(way) {
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
func (o *openers) queue(op *opening) bool {
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

// cancel notes that a request that waits is not wanted any more; false when none waits.
func (o *openers) cancel(tx signal.TxID, reason string) bool {
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

func (o *openers) run(queue chan *opening) {
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
func (o *openers) open(op *opening, last *fault) {
	defer o.s.edge.recovered("opener")
	proxy := op.way.Flow.Remote.Addr()
	if last.proxy == proxy && op.queued.Before(last.at) {
		o.failed(op, last.err)
		return
	}
	f, err := o.s.edge.toProxy(o.life, op.way.Flow, op.way.Path)
	if err != nil {
		*last = fault{proxy, time.Now(), err}
		o.failed(op, err)
		return
	}
	if op.out != nil {
		op.out.Ways = append([]signal.Way{op.way}, op.out.Ways[1:]...)
		op.out.Ways[0].Flow = f.Flow
		o.launch(op)
	}
}

// failed goes on with the next way of a request, or ends it.
func (o *openers) failed(op *opening, err error) {
	if op.out == nil {
		return
	}
	op.out.Ways = op.out.Ways[1:]
	if len(op.out.Ways) > 0 && !o.given(op) {
		o.s.edge.count.rejects.add(Reject{op.way.Flow.Listener, "proxy_unreached"}, 1)
		if o.s.closed(op.out.Ways[0]) {
			next := *op
			next.way, next.queued = op.out.Ways[0], time.Now()
			if o.queue(&next) {
				return
			}
		}
		o.launch(op)
		return
	}
	o.s.edge.count.rejects.add(Reject{op.way.Flow.Listener, "proxy_unreached"}, 1)
	status, reason := 503, "the proxy in front of the phone cannot be reached: "+err.Error()
	if o.done(op) {
		status, reason = 487, "the call was given up"
	}
	o.s.failed(transaction.Failure{Tx: op.out.Tx, Method: op.out.Method, Status: status, Reason: reason, Way: op.way})
}

// launch sends a request that has waited.
func (o *openers) launch(op *opening) {
	if o.given(op) {
		o.done(op)
		o.s.failed(transaction.Failure{Tx: op.out.Tx, Method: op.out.Method, Status: 487, Reason: "the call was given up", Way: op.way})
		return
	}
	o.s.launch(op.out)
	if o.done(op) { // meanwhile
		o.s.uac.Cancel(op.out.Tx, op.reason)
	}
}

// given reports whether a request was given up.
func (o *openers) given(op *opening) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[op.out.Tx] != nil && o.all[op.out.Tx].cancel
}

// done forgets a request that waited, and reports whether it was given up.
func (o *openers) done(op *opening) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.all[op.out.Tx]
	delete(o.all, op.out.Tx)
	if now != nil {
		op.reason = now.reason
	}
	return now != nil && now.cancel
}

// closed reports whether a way leads through a proxy to which no connection is open.
func (s *Signalling) closed(way signal.Way) bool {
	e := s.edge
	if e.cfg.NextHop == nil || way.Node != "" && way.Node != e.cfg.Node || !e.isProxy(way.Flow.Remote.Addr()) {
		return false
	}
	_, err := ways{s}.Open(way, 0)
	return err != nil
}
