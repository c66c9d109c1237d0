package edge

import (
	"maps"
	"sync"
	"sync/atomic"

	"demarc/telephony/sip"
)

// Message counts answered and absorbed requests.
type Message struct {
	Listener string
	Method   string // "other" for an unknown one
	Status   int    // 0: absorbed, or the handler wanted silence
}

// answered counts a request by the status of its answer. Phones can answer with any number; what is counted has to be of a few.
func answered(listener, method string, status int) Message {
	return Message{listener, method, sip.Standard(status)}
}

// Reject counts what never became a request: a datagram, a message or a connection.
type Reject struct {
	Listener string
	Reason   string
}

// Counters is a snapshot of what the edge counted since it was made.
type Counters struct {
	Messages    map[Message]uint64
	Sent        map[Message]uint64 // requests that we sent, by the status of their response; 0: none came
	Rejects     map[Reject]uint64
	Handshakes  map[Reject]uint64 // failed TLS handshakes by reason
	Accepted    map[string]uint64 // connections by listener
	Open        map[string]int64  // connections open now
	HalfOpen    int               // of those, without a first message
	UDPFlows    map[string]int    // remotes remembered
	ServerTxs   int               // transactions of calls now, those included that only absorb retransmissions
	ClientTxs   int
	KeepAlives  uint64
	Bans        uint64 // sources that were banned
	Panics      uint64
	TwiceOrLate uint64 // replies given a second time: a fault of the handler
}

// tally is a set of counters; its keys are few and bounded. Who counts takes no lock: the map is copied when a key is new.
type tally[K comparable] struct {
	mu sync.Mutex // held to add a key
	m  atomic.Pointer[map[K]*atomic.Int64]
}

func (t *tally[K]) add(k K, n int64) { t.of(k).Add(n) }

// of returns the counter of a key.
func (t *tally[K]) of(k K) *atomic.Int64 {
	if m := t.m.Load(); m != nil {
		if c := (*m)[k]; c != nil {
			return c
		}
	}
	return t.create(k)
}

func (t *tally[K]) create(k K) *atomic.Int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	larger := make(map[K]*atomic.Int64)
	if m := t.m.Load(); m != nil {
		if c := (*m)[k]; c != nil {
			return c
		}
		maps.Copy(larger, *m)
	}
	larger[k] = new(atomic.Int64)
	t.m.Store(&larger)
	return larger[k]
}

func snapshot[K comparable, N int64 | uint64](t *tally[K]) map[K]N {
	m := t.m.Load()
	if m == nil {
		return make(map[K]N)
	}
	out := make(map[K]N, len(*m))
	for k, c := range *m {
		out[k] = N(c.Load())
	}
	return out
}

// counters is what the edge counts while it runs.
type counters struct {
	messages    tally[Message]
	sent        tally[Message]
	rejects     tally[Reject]
	handshakes  tally[Reject]
	accepted    tally[string]
	open        tally[string]
	keepAlives  atomic.Uint64
	panics      atomic.Uint64
	twiceOrLate atomic.Uint64
}

// Counters returns what was counted up to now.
func (e *Edge) Counters() Counters {
	c := Counters{
		Messages:    snapshot[Message, uint64](&e.count.messages),
		Sent:        snapshot[Message, uint64](&e.count.sent),
		Rejects:     snapshot[Reject, uint64](&e.count.rejects),
		Handshakes:  snapshot[Reject, uint64](&e.count.handshakes),
		Accepted:    snapshot[string, uint64](&e.count.accepted),
		Open:        snapshot[string, int64](&e.count.open),
		HalfOpen:    e.guard.HalfOpen(),
		UDPFlows:    make(map[string]int),
		ServerTxs:   e.signalling.uas.Len(),
		ClientTxs:   e.signalling.uac.Len(),
		KeepAlives:  e.count.keepAlives.Load(),
		Bans:        e.standing.Bans(),
		Panics:      e.count.panics.Load(),
		TwiceOrLate: e.count.twiceOrLate.Load(),
	}
	for _, s := range e.sockets {
		c.UDPFlows[s.cfg.Name] = s.flows.len()
	}
	return c
}
