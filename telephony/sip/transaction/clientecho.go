package transaction

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// clientEcho is what is left of an INVITE of ours whose one 2xx got its ACK: timer M waits for that 2xx to come again, and for those of
// other dialogs (RFC 6026 §7.2).
type clientEcho struct {
	tx           signal.TxID // 0: it is a transaction again
	secret       uint64
	way          signal.Way
	carrier      Carrier // of the INVITE
	acks         Carrier // of the ACK
	tag, ack, to uint32  // in the texts of the page: where the tag begins, where the ACK does, and where that ends
}

// clientEchoes are those of a shard that last equally long.
type clientEchoes struct {
	queue[clientEcho]
	shard *uacShard
	byTx  numbers
}

// sumOf spreads the numbers of transactions, whose low bits may be all alike.
func sumOf(tx signal.TxID) sum { return sum{uint64(tx) * golden >> 32} }

// rest lets an echo of the transaction stay, if there is no more to it than one dialog.
func (s *uacShard) rest(t *clientTx) {
	if len(t.answers) != 1 || !t.answers[0].final {
		return
	}
	e := &s.echoes[0]
	if s.of.keep(e.keep) != e.keep {
		e = &s.echoes[1]
	}
	one, texts, number := e.push()
	a := &t.answers[0]
	*one = clientEcho{tx: t.id.tx, secret: t.secret, way: t.way, carrier: t.carrier, acks: a.carrier, tag: uint32(len(*texts))}
	*texts = append(*texts, a.tag...)
	one.ack = uint32(len(*texts))
	*texts = append(*texts, a.ack...)
	one.to = uint32(len(*texts))
	e.byTx.add(sumOf(one.tx), number)
	t.retire()
}

// find returns the echo of a transaction, if it lasts.
func (e *clientEchoes) find(tx signal.TxID) (number uint32, ok bool) {
	return e.byTx.find(sumOf(tx), func(number uint32) bool {
		one, _ := e.at(number)
		return one.tx == tx && e.lasts(number)
	})
}

// Fire is what the wheel calls: whose time is over is forgotten.
func (e *clientEchoes) Fire() {
	e.shard.mu.Lock()
	defer e.shard.mu.Unlock()
	e.sweep(func(one *clientEcho, number uint32) {
		if one.tx != 0 {
			e.forget(one, number)
			e.shard.of.size.Add(-1)
		}
	})
	if e.empty() {
		e.byTx = numbers{}
	}
}

// forget takes an echo out before its place is free.
func (e *clientEchoes) forget(one *clientEcho, number uint32) {
	e.byTx.remove(sumOf(one.tx), number)
	*one = clientEcho{}
}

// end forgets all.
func (e *clientEchoes) end() {
	e.shard.of.size.Add(-int64(e.byTx.used))
	e.byTx = numbers{}
	e.clear()
}

// echo finds what is left of a transaction.
func (s *uacShard) echo(tx signal.TxID) (e *clientEchoes, number uint32) {
	for i := range s.echoes {
		if number, ok := s.echoes[i].find(tx); ok {
			return &s.echoes[i], number
		}
	}
	return nil, 0
}

// echoed takes a response to an INVITE of which an echo is left. The 2xx of another dialog makes a transaction of it again.
func (s *uacShard) echoed(id clientID, secret uint64, m *wire.Message, flow telephony.Flow) (way signal.Way, what News) {
	e, number := s.echo(id.tx)
	if e == nil || string(m.CSeqMethod) != "INVITE" {
		return way, Unasked
	}
	one, texts := e.at(number)
	if one.secret != secret || !s.of.comesOver(&one.way, &one.carrier, flow) {
		return way, Unasked
	}
	if way = one.way; one.carrier.Route() == "" {
		way.Flow = flow
	}
	switch {
	case m.Status/100 != 2:
	case string(toTag(m)) == string(texts[one.tag:one.ack]):
		one.acks.Send(one.way.AoR, texts[one.ack:one.to])
	default:
		what = s.wake(e, number).accepted(m)
		return way, what
	}
	return way, Old
}

// wake makes a transaction of an echo again, for as long as that would have lasted.
func (s *uacShard) wake(e *clientEchoes, number uint32) *clientTx {
	one, texts := e.at(number)
	t := s.take(clientID{tx: one.tx})
	t.secret, t.method, t.way, t.carrier, t.invite, t.state = one.secret, "INVITE", one.way, one.carrier, true, sip.Accepted
	a := t.answer(texts[one.tag:one.ack])
	a.final, a.carrier, a.ack = true, one.acks, append(s.spare.take(), texts[one.ack:one.to]...)
	t.endAfter(max(e.left(number), time.Millisecond))
	e.forget(one, number)
	return t
}
