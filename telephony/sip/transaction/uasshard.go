package transaction

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// uasShard has the transactions of the Call-IDs that hash to it, so that all of a call has one lock.
type uasShard struct {
	of      *UAS
	number  uint64
	mu      sync.Mutex
	places  places
	byKey   map[sum]*serverTx
	origins map[sum]*serverTx // the newest; of those that something may be looked for by it
	echoes  [2]echoes         // of 64*T1, and of T4
	free    []*serverTx
	spare   spare
	closed  bool
}

// sum stands for the text that a transaction is found by: there are too many bits for two to meet, and nobody knows the seeds, so
// that the text itself need not be kept.
type sum [2]uint64

func (u *UAS) sum(text []byte) sum {
	return sum{maphash.Bytes(u.seed, text), maphash.Bytes(u.other, text)}
}

// callKey is what a transaction is found by, and the Call-ID: whoever uses one branch for many calls must not make us search.
func callKey(key []byte, m *wire.Message, flow uint64, method []byte) []byte {
	return append(append(sip.AppendKey(key, m, flow, method), 0), m.CallID...)
}

// appendSource is what a request shares with its ACK, its PRACKs and its copies.
func appendSource(dst []byte, m *wire.Message, cseq uint32, method []byte) []byte {
	dst = append(append(dst, m.CallID...), 0)
	dst = append(append(dst, fromTag(m)...), 0)
	return append(binary.BigEndian.AppendUint32(dst, cseq), method...)
}

// acknowledged takes an ACK. The first one to a 2xx, which nearly all are, has a branch of its own, and may come over another flow
// (§13.2.2.4).
func (s *uasShard) acknowledged(m *wire.Message, flow uint64) (signal.TxID, Match) {
	var room [192]byte
	origin := s.of.sum(appendSource(room[:0], m, m.CSeq, invite))
	if t := s.origins[origin]; t != nil && t.state == sip.Accepted && string(toTag(m)) == t.localTag {
		return s.accept(t)
	}
	key := s.of.sum(callKey(room[:0], m, flow, invite))
	if t := s.byKey[key]; t != nil {
		return s.confirm(t)
	}
	if e, _ := s.echo(key); e != nil {
		return e.id, Absorbed
	}
	if e, tag := s.accepted(origin); e != nil && string(tag) == string(toTag(m)) {
		return e.id, Absorbed
	}
	return 0, Stray
}

// accept takes the first ACK to a 2xx. Timer L waits for retransmissions of the INVITE, and there are none after this.
func (s *uasShard) accept(t *serverTx) (signal.TxID, Match) {
	id := t.id
	s.rest(t, s.of.timers.T4)
	return id, Acked
}

// confirm takes an ACK with the branch of its INVITE.
func (s *uasShard) confirm(t *serverTx) (signal.TxID, Match) {
	if t.state == sip.Accepted {
		return s.accept(t)
	}
	id := t.id
	if state, keep := sip.Acknowledged(t.state, t.reliable, s.of.timers); state != t.state {
		t.state = state
		t.finish(keep)
	}
	return id, Absorbed
}

func (s *uasShard) take() *serverTx {
	if n := len(s.free); n > 0 {
		t := s.free[n-1]
		s.free = s.free[:n-1]
		return t
	}
	t := &serverTx{shard: s}
	t.schedule.wheel = s.of.cfg.Wheel
	t.schedule.timer.Owner = t
	return t
}

func (s *uasShard) add(t *serverTx) {
	s.byKey[t.key] = t
	if t.sought() {
		s.origins[t.origin] = t
	}
}

// remove takes a transaction out of the shard.
func (s *uasShard) remove(t *serverTx) {
	s.places.remove(t.id)
	if t.sought() && s.origins[t.origin] == t {
		delete(s.origins, t.origin)
	}
	if s.byKey[t.key] == t {
		delete(s.byKey, t.key)
	}
	if len(s.free) < maxFree {
		t.forget()
		s.free = append(s.free, t)
	}
}
