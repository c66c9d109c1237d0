package edge

import (
	"context"
	"sync"
	"time"

	"demarc/telephony/authentication"
	"demarc/telephony/edge/guard"
	"demarc/telephony/signal"
)

// asking are the requests whose sender memory does not know: the directory is asked by a few workers, and what comes for
// such a request meanwhile waits for it.
type asking struct {
	signalling *Signalling
	queue      chan *question
	life       context.Context
	end        context.CancelFunc
	work       sync.WaitGroup

	mu  sync.Mutex
	all map[signal.TxID]*question
}

// question is one of them.
type question struct {
	req   *signal.Request
	as    authentication.Credentials
	who   guard.Caller
	flow  *flow
	came  time.Time
	later []signal.Event
}

const (
	askers   = 4
	maxAsked = 1024
)

func newAsking(s *Signalling) *asking {
	a := &asking{signalling: s, queue: make(chan *question, maxAsked), all: make(map[signal.TxID]*question)}
	a.life, a.end = context.WithCancel(context.Background())
	return a
}

func (a *asking) start() {
	for range askers {
		a.work.Go(a.run)
	}
}

func (a *asking) stop() {
	a.end()
	a.work.Wait()
}

func (a *asking) run() {
	for {
		select {
		case q := <-a.queue:
			a.ask(q)
		case <-a.life.Done():
			return
		}
	}
}

// begin reports whether there was room.
func (a *asking) begin(q *question) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.queue <- q:
		a.all[q.req.Tx] = q
		return true
	default:
		return false
	}
}

// wait keeps an event of a transaction until its request was handed over, and reports whether it has to.
func (a *asking) wait(tx signal.TxID, ev signal.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.all[tx]
	if q == nil {
		return false
	}
	q.later = append(q.later, ev)
	return true
}

func (a *asking) ask(q *question) {
	s := a.signalling
	defer func() {
		if r := recover(); r != nil {
			s.edge.panicked("Authenticate", r)
			s.Reply(signal.Reply{Tx: q.req.Tx, Status: 500})
			a.done(q, false)
		}
	}()
	v := s.calls.Authenticate(a.life, q.as)
	s.edge.learned(q.flow, &q.who, v.Reply.Sender, s.edge.cfg.Now())
	if !v.OK {
		refused := refusal(v.Reply)
		refused.Tx = q.req.Tx
		s.edge.refusing(v.Reply.Sender, q.came, func() {
			s.Reply(refused)
			a.done(q, false)
		})
		return
	}
	q.req.Account, q.req.User = v.User.Account, v.User.AoR
	if q.as.Proof == 0 { // else his binding tells it
		q.flow.note(q.req.User, q.req.Account)
	}
	s.request(q.req)
	a.done(q, true)
}

// done hands over what waited, in order, until nothing does.
func (a *asking) done(q *question, handed bool) {
	for {
		a.mu.Lock()
		later := q.later
		q.later = nil
		if len(later) == 0 || !handed {
			delete(a.all, q.req.Tx)
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		for _, ev := range later {
			a.signalling.hand(ev)
		}
	}
}
