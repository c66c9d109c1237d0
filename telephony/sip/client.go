package sip

import (
	"context"
	"sync"
	"time"

	"demarc/telephony/wire"
)

// Clients is a bounded table of client transactions other than INVITE (RFC 3261 §17.1.2), over flows that somebody else
// owns: a Conn's one connection, or the connections that phones opened to a listener.
type Clients struct {
	timers Timers
	limit  int

	mu      sync.Mutex
	pending map[clientKey]chan *Response
}

// clientKey matches a response (§17.1.3). The flow is part of it: nobody answers for somebody else.
type clientKey struct {
	flow           uint64
	branch, method string
}

// Way is how a transaction's request goes out.
type Way struct {
	Flow     uint64 // its responses must come over the same
	Reliable bool   // else the request is sent again until there is a response
	Send     func([]byte) error
	Gone     <-chan struct{} // closed when the flow has ended; may be nil
	Err      func() error    // why; ErrClosed when nil
}

// NewClients returns an empty table of at most limit transactions.
func NewClients(t Timers, limit int) *Clients {
	return &Clients{timers: t.WithDefaults(), limit: limit, pending: make(map[clientKey]chan *Response)}
}

// NewBranch returns a branch for a request's Via.
func NewBranch() string { return MagicCookie + NewToken() }

// Do sends a request that was rendered with the branch, and waits for its final response. It is the Trying and
// Proceeding state: timer E resends over UDP with doubling waits up to T2, timer F gives up. Completed needs no state
// (timer K): a late response matches nothing and is dropped.
func (c *Clients) Do(ctx context.Context, raw []byte, branch, method string, w Way) (*Response, error) {
	key := clientKey{w.Flow, branch, method}
	answer, err := c.expect(key)
	if err != nil {
		return nil, err
	}
	defer c.forget(key)
	if err := w.Send(raw); err != nil {
		return nil, err
	}
	interval := c.timers.T1
	resend := time.NewTimer(interval)
	defer resend.Stop()
	if w.Reliable {
		resend.Stop()
	}
	giveUp := time.NewTimer(64 * c.timers.T1)
	defer giveUp.Stop()
	for {
		select {
		case r := <-answer:
			if r == nil {
				return nil, w.gone()
			}
			if r.Status >= 200 {
				return r, nil
			}
			interval = c.timers.T2 // §17.1.2.2: once provisional, resend every T2
		case <-resend.C:
			if err := w.Send(raw); err != nil {
				return nil, err
			}
			interval = min(2*interval, c.timers.T2)
			resend.Reset(interval)
		case <-giveUp.C:
			return nil, ErrTimeout
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.Gone:
			return nil, w.gone()
		}
	}
}

// gone is why the flow has ended.
func (w *Way) gone() error {
	if w.Err != nil {
		return w.Err()
	}
	return ErrClosed
}

// FlowGone ends what waits for a response over a flow that has ended, for flows without a channel that says so.
func (c *Clients) FlowGone(flow uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, waiting := range c.pending {
		if key.flow != flow {
			continue
		}
		select {
		case waiting <- nil:
		default: // the final response has come already
		}
	}
}

// Receive takes a response that came over the flow, and reports whether somebody waits for it.
func (c *Clients) Receive(m *wire.Message, flow uint64) bool {
	v, _, ok := wire.ParseVia(m.Vias[0])
	if !ok {
		return false
	}
	c.mu.Lock()
	waiting, ok := c.pending[clientKey{flow, string(v.Branch()), string(m.CSeqMethod)}]
	c.mu.Unlock()
	if !ok {
		return false
	}
	if m.Status < 200 && len(waiting) > 0 {
		return true // one provisional response is news enough; the other place is the final one's
	}
	r, err := newResponse(m)
	if err != nil {
		return false
	}
	select {
	case waiting <- r:
	default:
	}
	return true
}

// Len returns how many wait.
func (c *Clients) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

func (c *Clients) expect(key clientKey) (<-chan *Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= c.limit {
		return nil, ErrBusy
	}
	answer := make(chan *Response, 2) // a provisional and a final one; the reader never waits
	c.pending[key] = answer
	return answer, nil
}

func (c *Clients) forget(key clientKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, key)
}
