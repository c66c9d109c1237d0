package transaction

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"demarc/internal/wheel"
	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// UAC is the bounded table of the client transactions of calls (RFC 3261 §17.1, RFC 6026). A request is tried over one way
// after the other until something comes back. It is safe for concurrent use.
type UAC struct {
	cfg    UACConfig
	timers sip.Timers
	size   atomic.Int64
	shards [txShards]uacShard

	endings endings
}

// UACConfig configures a UAC. Failed is called without a lock held, and must not block.
type UACConfig struct {
	Timers sip.Timers
	Wheel  *wheel.Wheel
	Limit  int
	Ways   Ways
	Failed func(Failure)
}

// Ways finds open flows.
type Ways interface {
	// Open returns the flow to send a request of so many bytes over, or why there is none.
	Open(w signal.Way, size int) (Carrier, error)
	// SamePhone reports whether the flow is that of the very phone that the way leads to.
	SamePhone(w signal.Way, flow uint64) bool
}

// Carrier is an open flow. Send copies what it is given, and does not block; to is whose phone is behind the flow.
type Carrier interface {
	Flow() telephony.Flow
	SentBy() string // for Via
	Route() string  // value of a Route to the node that holds the flow; empty when it is this one
	Send(to telephony.AoR, b []byte)
}

// Failure is the end of a transaction without a response of the far end.
type Failure struct {
	Tx     signal.TxID
	Method string
	Status int    // 408, 487 or 503
	Reason string // for people
	Way    signal.Way
}

// News says what a response is to the transactions that there are.
type News uint8

// What a response may be.
const (
	Unasked News = iota // nothing here waits for it
	Old                 // known already: dealt with
	Told                // the sender of the request is to be told
)

// ErrTx says that a request cannot be sent under its number: it is in use, or there are too many.
var ErrTx = errors.New("sip: too many client transactions, or a number that is in use")

type uacShard struct {
	of     *UAC
	mu     sync.Mutex
	table  map[signal.TxID]*clientTx
	cancel map[signal.TxID]*clientTx // CANCELs, by their INVITEs' numbers
	echoes [2]clientEchoes           // of 64*T1, and of T4
	free   []*clientTx
	spare  spare
	closed bool

	spareAsks []*asks
}

// clientID names a transaction: a CANCEL's is its INVITE's, with a mark.
type clientID struct {
	tx     signal.TxID
	cancel bool
}

// NewUAC returns an empty table.
func NewUAC(c UACConfig) *UAC {
	u := &UAC{cfg: c, timers: c.Timers.WithDefaults()}
	for i := range u.shards {
		s := &u.shards[i]
		s.of, s.table, s.cancel = u, make(map[signal.TxID]*clientTx), make(map[signal.TxID]*clientTx)
		for i, keep := range [...]time.Duration{64 * u.timers.T1, u.timers.T4} {
			s.echoes[i].shard = s
			s.echoes[i].init(c.Wheel, keep, &s.echoes[i])
		}
	}
	return u
}

// Len returns the number of transactions.
func (u *UAC) Len() int { return int(u.size.Load()) }

// Send begins a transaction. How it ends is told by Failed, or by what Receive says of a final response.
func (u *UAC) Send(out *signal.Outgoing) error {
	failure, failed, err := u.shard(out.Tx).send(out)
	if failed {
		u.cfg.Failed(failure)
	}
	return err
}

func (s *uacShard) send(out *signal.Outgoing) (Failure, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.begin(clientID{tx: out.Tx})
	if err != nil {
		return Failure{}, false, err
	}
	t.ask(out)
	failure, failed := t.try()
	return failure, failed, nil
}

// Ack sends the ACK to a 2xx (RFC 3261 §13.2.2.4), now and whenever that 2xx comes again.
func (u *UAC) Ack(out *signal.Outgoing) error {
	s := u.shard(out.Tx)
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	size := sizeOf(out)
	for _, way := range out.Ways {
		var c Carrier
		if c, err = u.cfg.Ways.Open(way, size); err != nil {
			continue
		}
		raw := appendOutgoing(s.spare.take(), out, c, clientID{tx: out.Tx}, rand.Uint64())
		c.Send(way.AoR, raw)
		if t := s.table[out.Tx]; t != nil && t.state == sip.Accepted {
			t.acked(tagOf(out.Headers), c, raw)
			return nil
		}
		s.spare.give(&raw)
		return nil
	}
	return err
}

// Cancel cancels an INVITE: as soon as there is a provisional response (§9.1), and not when there is a final one.
func (u *UAC) Cancel(tx signal.TxID, reason string) {
	s := u.shard(tx)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table[tx]
	if t == nil || !t.invite || t.canceled || t.asks == nil {
		return
	}
	t.canceled, t.asks.reason = true, reason
	if t.state == sip.Proceeding {
		t.cancel()
	}
}

// Receive takes a response that came over the flow. Told says who is to be told, and the way it came.
func (u *UAC) Receive(m *wire.Message, flow telephony.Flow) (tx signal.TxID, way signal.Way, what News) {
	v, _, ok := m.TopVia()
	if !ok {
		return 0, way, Unasked
	}
	id, secret, ok := readBranch(v.Branch())
	if !ok {
		return 0, way, Unasked
	}
	id.cancel = string(m.CSeqMethod) == "CANCEL"
	way, what, failure, failed := u.shard(id.tx).receive(id, secret, m, flow)
	if failed {
		u.cfg.Failed(failure)
	}
	return id.tx, way, what
}

func (s *uacShard) receive(id clientID, secret uint64, m *wire.Message, flow telephony.Flow) (
	way signal.Way, what News, failure Failure, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.all(id)[id.tx]
	if t == nil && !id.cancel {
		way, what = s.echoed(id, secret, m, flow)
		return way, what, Failure{}, false
	}
	if t == nil || t.secret != secret || string(m.CSeqMethod) != t.method || !s.of.comesOver(&t.way, &t.carrier, flow) {
		return way, Unasked, Failure{}, false
	}
	if way = t.way; t.carrier.Route() == "" {
		way.Flow = flow
	}
	what, failure, failed = t.receive(m)
	return way, what, failure, failed
}

// Close ends all transactions; nothing is sent or told after it.
func (u *UAC) Close() {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		s.closed = true
		for _, all := range [...]map[signal.TxID]*clientTx{s.table, s.cancel} {
			for _, t := range all {
				t.terminate()
			}
		}
		for i := range s.echoes {
			s.echoes[i].end()
		}
		s.mu.Unlock()
	}
}

const golden = 0x9e3779b97f4a7c15

// shard spreads numbers whatever their senders put into which bits.
func (u *UAC) shard(tx signal.TxID) *uacShard {
	return &u.shards[uint64(tx)*golden>>(64-shardBits)]
}

// all returns the transactions of the id's kind.
func (s *uacShard) all(id clientID) map[signal.TxID]*clientTx {
	if id.cancel {
		return s.cancel
	}
	return s.table
}

func (s *uacShard) begin(id clientID) (*clientTx, error) {
	u := s.of
	if _, used := s.all(id)[id.tx]; used || s.closed {
		return nil, ErrTx
	}
	if u.size.Add(1) > int64(u.cfg.Limit) {
		u.size.Add(-1)
		return nil, ErrTx
	}
	return s.take(id), nil
}

// take returns a transaction with a number, which stands in the table.
func (s *uacShard) take(id clientID) *clientTx {
	var t *clientTx
	if n := len(s.free); n > 0 {
		t = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		t = &clientTx{shard: s}
		t.schedule.wheel = s.of.cfg.Wheel
		t.schedule.timer.Owner = t
	}
	t.id = id
	s.all(id)[id.tx] = t
	return t
}

func (s *uacShard) remove(t *clientTx) {
	delete(s.all(t.id), t.id.tx)
	if len(s.free) < maxFree {
		t.forget()
		s.free = append(s.free, t)
	}
}
