package transaction

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"demarc/internal/wheel"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// UAS is the bounded table of the server transactions of calls (RFC 3261 §17.2, RFC 6026, RFC 3262). Unlike sip.Transactions it
// sends a 2xx to INVITE until its ACK too, and reliable provisional responses until their PRACK. It is safe for concurrent
// use. What a Peer is given is valid during the call alone.
type UAS struct {
	cfg    UASConfig
	timers sip.Timers
	seed   maphash.Seed
	other  maphash.Seed // of the second half of a sum
	ids    atomic.Uint64
	size   atomic.Int64
	shards [txShards]uasShard
}

// ErrFull is returned by Begin when there are as many transactions as there may be: answer 503.
var ErrFull = errors.New("sip: too many server transactions")

var invite = []byte("INVITE") // the method of the request that an ACK, a CANCEL or a PRACK is about

// UASConfig configures a UAS. Missing is called without a lock held, and must not block.
type UASConfig struct {
	Timers sip.Timers
	Wheel  *wheel.Wheel
	Limit  int
	// Missing says that no ACK to a 2xx came within 64*T1, and that the transaction is over; or, with rseq, that no PRACK came.
	Missing func(tx signal.TxID, rseq uint32)
}

// Peer is where the responses of a transaction go. Send reports whether there was a way: what is lost for want of one is sent
// again as over UDP. Answered is told of the final response, once, when that goes out: it may have waited for a PRACK, and never go out
// for want of one. Both are called with a lock held, and must not block.
type Peer interface {
	Send(b []byte) bool
	Answered(method string, status int)
}

// Incoming is a request that begins a transaction.
type Incoming struct {
	Message  *wire.Message
	Method   string // as it is counted
	Flow     uint64
	Source   netip.AddrPort
	Reliable bool
	Peer     Peer
	Mark     signal.TxID // bits that are set in the transaction's number
}

// Match says what a request is to the transactions that there are.
type Match uint8

// What a request may be.
const (
	Fresh    Match = iota + 1 // begins a transaction
	Absorbed                  // a retransmission, or an ACK to what needs no more than that: dealt with
	Acked                     // the first ACK to a 2xx of the transaction
	Merged                    // the copy of a request that came by another way (§8.2.2.2)
	Stray                     // an ACK to nothing
)

const (
	txShards = 16
	maxFree  = 64 // transactions and messages that a shard keeps to be used again
)

// NewUAS returns an empty table.
func NewUAS(c UASConfig) *UAS {
	u := &UAS{cfg: c, timers: c.Timers.WithDefaults(), seed: maphash.MakeSeed(), other: maphash.MakeSeed()}
	for i := range u.shards {
		s := &u.shards[i]
		s.of, s.number, s.byKey, s.origins = u, uint64(i), make(map[sum]*serverTx), make(map[sum]*serverTx)
		for i, keep := range [...]time.Duration{64 * u.timers.T1, u.timers.T4} {
			s.echoes[i].shard = s
			s.echoes[i].init(c.Wheel, keep, &s.echoes[i])
		}
	}
	return u
}

// Len returns the number of transactions.
func (u *UAS) Len() int { return int(u.size.Load()) }

// Match finds what a request is, and deals with retransmissions and ACKs. tx is zero for Fresh and Stray. back tells where the response
// to a retransmission goes whose transaction is but an echo, for which so many bytes have been spent; it is called with a lock held, and not for
// an ACK.
func (u *UAS) Match(m *wire.Message, flow uint64, back func(spent int) Peer) (tx signal.TxID, what Match) {
	s := u.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Is("ACK") {
		return s.acknowledged(m, flow)
	}
	var room [192]byte
	key := u.sum(callKey(room[:0], m, flow, m.Method))
	if t := s.byKey[key]; t != nil {
		t.answer()
		return t.id, Absorbed
	}
	if e, response := s.echo(key); e != nil {
		e.answer(response, back)
		return e.id, Absorbed
	}
	if sip.HasTag(m) {
		return 0, Fresh
	}
	// An old phone may answer a challenge with the same CSeq, so what was refused is no longer ongoing.
	origin := u.sum(appendSource(room[:0], m, m.CSeq, m.Method))
	if t := s.origins[origin]; t != nil && (t.state == sip.Proceeding || t.state == sip.Accepted) {
		return t.id, Merged
	}
	if e, _ := s.accepted(origin); e != nil {
		return e.id, Merged
	}
	return 0, Fresh
}

// Begin begins a transaction for a request that is Fresh. An INVITE gets its 100 when nothing else has been sent by a tenth of T1:
// RFC 3261 §17.2.1 asks for it only where no other response comes within 200 ms.
func (u *UAS) Begin(in Incoming) (signal.TxID, error) {
	if u.size.Add(1) > int64(u.cfg.Limit) {
		u.size.Add(-1)
		return 0, ErrFull
	}
	s := u.shard(in.Message)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		u.size.Add(-1)
		return 0, ErrFull
	}
	t := s.take()
	if !s.places.put(t, in.Mark, u.ids.Add(1), s.number) {
		u.size.Add(-1)
		return 0, ErrFull
	}
	t.begin(in)
	s.add(t)
	if t.invite {
		t.repeat(u.timers.T1 / 10)
	}
	return t.id, nil
}

// Canceled finds the INVITE that a CANCEL of the same flow names (§9.2). pending is true the first time, while there is no
// final response.
func (u *UAS) Canceled(m *wire.Message, flow uint64) (tx signal.TxID, tag string, pending bool) {
	var room [192]byte
	s := u.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := u.sum(callKey(room[:0], m, flow, invite))
	t := s.byKey[key]
	if t == nil {
		if e, tag := s.echo(key); e != nil {
			return e.id, string(tag), false
		}
		return 0, "", false
	}
	pending = t.state == sip.Proceeding && !t.canceled
	t.canceled = true
	return t.id, t.localTag, pending
}

// CanceledElsewhere is Canceled for a CANCEL that came over another flow than its INVITE: one of the same phone, as its peer says under a lock. Its
// connection may have broken since.
func (u *UAS) CanceledElsewhere(m *wire.Message, same func(Peer) bool) (tx signal.TxID, tag string, pending bool) {
	var room [192]byte
	s := u.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.origins[u.sum(appendSource(room[:0], m, m.CSeq, invite))]
	if t == nil || t.state != sip.Proceeding || !same(t.peer) {
		return 0, "", false
	}
	pending = !t.canceled
	t.canceled = true
	return t.id, t.localTag, pending
}

// Pracked notes that the reliable provisional response to the INVITE with a CSeq arrived. ok is false when there is none that
// waits for it: 481 (RFC 3262 §3).
func (u *UAS) Pracked(m *wire.Message, rseq, cseq uint32) (tx signal.TxID, ok bool) {
	s := u.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	var room [192]byte
	t := s.origins[u.sum(appendSource(room[:0], m, cseq, invite))]
	if t == nil || !t.pracked(m, rseq) {
		return 0, false
	}
	return t.id, true
}

// Respond sends a response and keeps its bytes. It reports whether there is a transaction that waits for one.
func (u *UAS) Respond(r signal.Reply) bool {
	s := &u.shards[r.Tx%txShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.places.find(r.Tx)
	if t == nil || t.state != sip.Proceeding {
		return false
	}
	t.respond(r)
	return true
}

// Peer returns where the responses of a transaction go, or nil when it is over.
func (u *UAS) Peer(tx signal.TxID) Peer {
	s := &u.shards[tx%txShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.places.find(tx); t != nil {
		return t.peer
	}
	return nil
}

// Close ends all transactions; nothing is sent after it.
func (u *UAS) Close() {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		s.closed = true
		for _, t := range s.places.all {
			if t != nil {
				t.terminate()
			}
		}
		for i := range s.echoes {
			s.echoes[i].end()
		}
		s.mu.Unlock()
	}
}

// keep shortens how long something is kept that only absorbs retransmissions.
func (u *UAS) keep(d time.Duration) time.Duration {
	if crowded(u.size.Load(), u.cfg.Limit) {
		return min(d, u.timers.T4)
	}
	return d
}

// crowded reports whether there are so many transactions that those which only absorb retransmissions are kept for T4: what is on its
// way in the network arrives within that, and who still sends does so every T2. Under load most transactions are such, and memory
// that the garbage collector looks through in vain.
func crowded(size int64, limit int) bool { return 8*size > int64(limit) }

func (u *UAS) shard(m *wire.Message) *uasShard {
	return &u.shards[maphash.Bytes(u.seed, m.CallID)%txShards]
}
