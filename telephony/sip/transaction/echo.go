package transaction

import (
	"math"
	"time"

	"demarc/telephony/sip"
)

// echo is what is left of a server transaction that has only to know retransmissions: timers I, J and L last far longer than
// what comes before them. It holds no pointer, so that the garbage collector passes over all that there are.
type echo struct {
	identity             // how it is found
	begin, end uint32    // its text in the page: of an INVITE the tag of To, else the response, which is to be sent again
	spent      uint32    // bytes of final responses that went out, copies included
	state      sip.State // sip.Completed, Accepted with its ACK, or Confirmed
}

// echoes are those of a shard that last equally long.
type echoes struct {
	queue[echo]
	shard   *uasShard
	byKey   numbers
	origins numbers // of INVITEs with a 2xx, which copies and ACKs are compared with
}

// put begins the echo of a transaction.
func (e *echoes) put(t *serverTx) {
	one, texts, number := e.push()
	begin := len(*texts)
	if t.state == sip.Completed {
		*texts = append(*texts, t.response...)
	} else {
		*texts = append(*texts, t.localTag...)
	}
	*one = echo{identity: t.identity, begin: uint32(begin), end: uint32(len(*texts)), spent: uint32(len(t.response)), state: t.state}
	e.byKey.add(one.key, number)
	if one.state == sip.Accepted {
		e.origins.add(one.origin, number)
	}
}

// text returns an echo and its text, which is valid until the shard is left.
func (e *echoes) text(number uint32, ok bool) (*echo, []byte) {
	if !ok {
		return nil, nil
	}
	one, texts := e.at(number)
	return one, texts[one.begin:one.end]
}

// find returns the echo with a key, if it lasts.
func (e *echoes) find(key sum) (*echo, []byte) {
	return e.text(e.byKey.find(key, func(number uint32) bool {
		one, _ := e.at(number)
		return one.key == key && e.lasts(number)
	}))
}

// accepted returns the echo of an INVITE with a 2xx by what it shares with its ACK and its copies, and the tag that it was given.
func (e *echoes) accepted(origin sum) (*echo, []byte) {
	return e.text(e.origins.find(origin, func(number uint32) bool {
		one, _ := e.at(number)
		return one.origin == origin && e.lasts(number)
	}))
}

// answer sends the response once more.
func (one *echo) answer(response []byte, back func(spent int) Peer) {
	if one.state != sip.Completed {
		return
	}
	back(int(one.spent)).Send(response)
	one.spent = min(one.spent+uint32(len(response)), math.MaxInt32)
}

// Fire is what the wheel calls: whose time is over is forgotten.
func (e *echoes) Fire() {
	e.shard.mu.Lock()
	defer e.shard.mu.Unlock()
	e.sweep(func(one *echo, number uint32) {
		e.byKey.remove(one.key, number)
		if one.state == sip.Accepted {
			e.origins.remove(one.origin, number)
		}
		e.shard.of.size.Add(-1)
	})
	if e.empty() {
		e.byKey, e.origins = numbers{}, numbers{}
	}
}

// end forgets all.
func (e *echoes) end() {
	e.shard.of.size.Add(-int64(e.next - e.first))
	e.byKey, e.origins = numbers{}, numbers{}
	e.clear()
}

// rest ends a transaction that has only to know retransmissions any more, and keeps its echo for so long.
func (s *uasShard) rest(t *serverTx, keep time.Duration) {
	e := &s.echoes[0]
	if keep != e.keep {
		e = &s.echoes[1]
	}
	e.put(t)
	t.retire()
}

// echo finds what is left of the transaction with the key.
func (s *uasShard) echo(key sum) (one *echo, text []byte) {
	for i := range s.echoes {
		if one, text = s.echoes[i].find(key); one != nil {
			break
		}
	}
	return one, text
}

// accepted finds what is left of an INVITE with a 2xx by its origin, and the tag that it was given.
func (s *uasShard) accepted(origin sum) (one *echo, tag []byte) {
	for i := range s.echoes {
		if one, tag = s.echoes[i].accepted(origin); one != nil {
			break
		}
	}
	return one, tag
}
