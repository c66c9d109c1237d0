package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// item is one thing that a worker is to do: an event for a call.
type item struct {
	to    *running // nil: a request that belongs to no call
	event callswitch.Event
	lands *landing // a leg has been handed over
}

// worker steps its calls, one event after the other.
type worker struct {
	x    *Exchange
	wake chan struct{}
	dice dice

	fetch atomic.Bool // the history asks for what has changed

	mu     sync.Mutex
	inside []item // of calls that there are
	fresh  []item // new calls

	// used by run alone
	now      time.Time // when what it does was begun
	turning  []item
	owed     signal.TxID // the request that a turn is about, until it has its response; 0 for an INVITE, which is its call's
	events   []callswitch.Event
	commands []callswitch.Command
	state    []byte     // the last one that was encoded
	unsaved  []*running // have changed since the history got them
	saved    []*running // room for the next ones
	spare    callswitch.Spare
	hosts    []host
}

func newWorker(x *Exchange) *worker { return &worker{x: x, wake: make(chan struct{}, 1)} }

// post queues what must be taken: it ends what there is.
func (w *worker) post(i item) {
	w.mu.Lock()
	w.inside = append(w.inside, i)
	w.mu.Unlock()
	w.ring()
}

// postInside queues a request of a call, if there is room.
func (w *worker) postInside(i item) bool {
	w.mu.Lock()
	ok := len(w.inside) < w.x.cfg.Limits.Inside
	if ok {
		w.inside = append(w.inside, i)
	}
	w.mu.Unlock()
	w.ring()
	return ok
}

// postNew queues a new call, if there is room.
func (w *worker) postNew(i item) bool {
	w.mu.Lock()
	ok := len(w.fresh) < w.x.cfg.Limits.Queue
	if ok {
		w.fresh = append(w.fresh, i)
	}
	w.mu.Unlock()
	w.ring()
	return ok
}

func (w *worker) ring() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// fewNew is how many new calls are begun before the calls that there are come next again.
const fewNew = 16

// take moves what is to be done next to turning: everything of calls that there are, or else a few new ones.
func (w *worker) take() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turning = w.turning[:0]
	if len(w.inside) > 0 {
		w.turning, w.inside = w.inside, w.turning
		return true
	}
	n := min(fewNew, len(w.fresh))
	w.turning = append(w.turning, w.fresh[:n]...)
	rest := copy(w.fresh, w.fresh[n:])
	clear(w.fresh[rest:])
	w.fresh = w.fresh[:rest]
	return n > 0
}

func (w *worker) run(ctx context.Context) {
	for {
		if w.fetch.Swap(false) {
			w.hand()
		}
		if w.take() {
			w.all(w.turning)
			clear(w.turning)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

// atOneTime is how much a worker does before it looks at the clock again: less than a millisecond's work.
const atOneTime = 16

// all does what was taken together, and has what that sends go out together: the end of a call alone is two messages.
func (w *worker) all(items []item) {
	if w.x.gathers != nil {
		w.x.gathers.Hold()
		defer w.x.gathers.Release()
	}
	for i := range items {
		if i%atOneTime == 0 {
			w.now = w.x.now()
		}
		w.do(items[i])
	}
}

func (w *worker) do(i item) {
	switch {
	case i.lands != nil && i.lands.to == i.to:
		w.land(i.lands)
	case i.to == nil || i.to.over:
		w.nowhere(i.event)
	case i.to.call == nil:
		w.first(i)
	default:
		if w.waits(i) {
			return
		}
		w.turn(i.to, i.event)
		if a, ok := i.event.Fact.(callswitch.Adopted); ok {
			w.landed(i.to, a, i.lands)
		}
	}
}

// first begins a call, unless it waited for a worker until the exchange was being stopped. What overtook its INVITE, for new
// calls wait longer, happens to it then: a CANCEL above all.
func (w *worker) first(i item) {
	r, ok := i.event.Signal.(*signal.Request)
	switch {
	case !ok:
		i.to.early = append(i.to.early, i.event)
		return
	case w.x.closed.Load():
		w.x.tables.servers.remove(r.Tx)
		w.x.gone(i.to)
		w.x.ports.Signalling.Reply(signal.Reply{Tx: r.Tx, Status: 503})
		w.x.turnedAway(r, stopping.Code, stopping.Text)
		return
	}
	w.begin(i.to, r)
	w.turn(i.to, i.event)
	for _, e := range i.to.early {
		if !i.to.over {
			w.turn(i.to, e)
		}
	}
	i.to.early = nil
}

// nowhere answers what waits for an answer of a call that is not here: a request, a phone that has answered, or a call that has released
// a leg.
func (w *worker) nowhere(e callswitch.Event) {
	if late, ok := e.Signal.(*signal.Response); ok {
		w.takeBack(late)
		return
	}
	r, ok := e.Signal.(*signal.Request)
	switch f := e.Fact.(type) {
	case callswitch.Replacing:
		r, ok = f.Request, true
	case callswitch.Adopt:
		w.adoption(nil, callswitch.Adoption{From: f.From, Was: f.Moved.ID, Refused: otherEnded()})
	}
	if ok {
		w.x.tables.servers.remove(r.Tx)
		status, text := 481, goneText
		inside := r.Method != "INVITE" || r.ToTag != ""
		if n := named(r); !inside && n.some && !n.ok {
			status, text = 400, misnamedText
		}
		w.x.ports.Signalling.Reply(signal.Reply{Tx: r.Tx, Status: status})
		if !inside {
			w.x.turnedAway(r, status, text)
		}
	}
}

// takeBack ends what a 2xx has made after the end of its call.
func (w *worker) takeBack(r *signal.Response) {
	if r.Method != "INVITE" || r.Status/100 != 2 {
		return
	}
	for _, c := range callswitch.TakeBack(r, w.x.serial.Add(1)) {
		if s, ok := c.(*callswitch.Send); ok {
			w.x.ports.Signalling.Send(s.Outgoing)
		}
	}
}

// waits keeps the messages of a leg that is being handed over, until it is known which call has it, and there those that have come since until
// the ones before them have.
func (w *worker) waits(i item) bool {
	if held, ok := i.to.landing[i.event.Leg]; ok && i.event.Signal != nil {
		i.to.landing[i.event.Leg] = append(held, i)
		return true
	}
	held, ok := i.to.away[i.event.Leg]
	if ok && i.event.Signal != nil {
		i.to.away[i.event.Leg] = append(held, i)
		return true
	}
	return false
}
