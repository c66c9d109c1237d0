package sip

import (
	"time"

	"demarc/telephony/signal"
)

// echo is what is left of a server transaction that has only to know retransmissions: timers I, J and L last far longer than
// what comes before them. It holds no pointer, so that the garbage collector passes over all that there are.
type echo struct {
	until      time.Duration // the wheel's time
	identity                 // how it is found
	begin, end uint32        // of its text in the page
	state      State         // Completed, Accepted with its ACK, or Confirmed
}

// page holds the echoes of a while and their texts: of an INVITE the tag of To, else the response, which is to be sent again.
type page struct {
	texts  []byte
	echoes [pageSize]echo
}

const (
	pageSize     = 64
	sparePages   = 4
	largestTexts = 64 << 10 // of a page that is used again, bytes
)

// echoes are those of a shard that last equally long, so that they end in the order in which they began. They are numbered on; a
// number says where in which page its echo stands. The shard's lock guards them.
type echoes struct {
	shard       *uasShard
	keep        time.Duration
	timer       Timer // for the oldest
	pages       []*page
	first, next uint32 // the number of the oldest, and of the one to come
	byKey       numbers
	origins     numbers // of INVITEs with a 2xx, which copies and ACKs are compared with
	spare       []*page
}

func (e *echoes) init(s *uasShard, keep time.Duration) {
	e.shard, e.keep = s, keep
	e.timer.Owner = e
}

// put begins the echo of a transaction.
func (e *echoes) put(t *serverTx) {
	if e.next%pageSize == 0 {
		e.pages = append(e.pages, e.blank())
	}
	p := e.pages[len(e.pages)-1]
	begin := uint32(len(p.texts))
	if t.state == Completed {
		p.texts = append(p.texts, t.response...)
	} else {
		p.texts = append(p.texts, t.localTag...)
	}
	wheel := e.shard.of.cfg.Wheel
	one := &p.echoes[e.next%pageSize]
	*one = echo{
		until: wheel.Now() + e.keep, identity: t.identity, begin: begin, end: uint32(len(p.texts)), state: t.state,
	}
	e.byKey.add(one.key, e.next)
	if one.state == Accepted {
		e.origins.add(one.origin, e.next)
	}
	if e.first == e.next {
		wheel.SetAt(&e.timer, one.until)
	}
	e.next++
}

func (e *echoes) blank() *page {
	n := len(e.spare)
	if n == 0 {
		return new(page)
	}
	p := e.spare[n-1]
	e.spare = e.spare[:n-1]
	p.texts = p.texts[:0]
	return p
}

// at returns the echo with a number, and its text, which is valid until the shard is left.
func (e *echoes) at(number uint32) (*echo, []byte) {
	p := e.pages[(number-e.first&^(pageSize-1))/pageSize]
	one := &p.echoes[number%pageSize]
	return one, p.texts[one.begin:one.end]
}

// find returns the echo with a key, or nothing when its time is over.
func (e *echoes) find(key sum) (*echo, []byte) {
	number, ok := e.byKey.find(key, func(number uint32) bool {
		one, _ := e.at(number)
		return one.key == key && e.lasts(one)
	})
	if !ok {
		return nil, nil
	}
	return e.at(number)
}

// accepted returns the echo of an INVITE with a 2xx by what it shares with its ACK and its copies, and the tag that it was given.
func (e *echoes) accepted(origin sum) (*echo, []byte) {
	number, ok := e.origins.find(origin, func(number uint32) bool {
		one, _ := e.at(number)
		return one.origin == origin && e.lasts(one)
	})
	if !ok {
		return nil, nil
	}
	return e.at(number)
}

func (e *echoes) lasts(one *echo) bool { return e.shard.of.cfg.Wheel.Now() < one.until }

// Fire is what the wheel calls: whose time is over is forgotten.
func (e *echoes) Fire() {
	s := e.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.of.cfg.Wheel.Now()
	for e.first != e.next {
		one, _ := e.at(e.first)
		if now < one.until {
			s.of.cfg.Wheel.SetAt(&e.timer, one.until)
			return
		}
		e.drop(one)
	}
	e.reset()
}

// drop forgets the oldest echo.
func (e *echoes) drop(one *echo) {
	e.byKey.remove(one.key, e.first)
	if one.state == Accepted {
		e.origins.remove(one.origin, e.first)
	}
	e.shard.of.size.Add(-1)
	if e.first++; e.first%pageSize != 0 {
		return
	}
	p := e.pages[0]
	e.pages[0], e.pages = nil, e.pages[1:]
	if len(e.spare) < sparePages && cap(p.texts) <= largestTexts {
		e.spare = append(e.spare, p)
	}
}

// clear forgets all.
func (e *echoes) clear() {
	e.shard.of.cfg.Wheel.Stop(&e.timer)
	e.shard.of.size.Add(-int64(e.next - e.first))
	e.reset()
}

// reset gives back what a burst needed.
func (e *echoes) reset() {
	e.byKey, e.origins = numbers{}, numbers{}
	e.pages, e.spare, e.first, e.next = nil, nil, 0, 0
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

// echoOf finds by number, which nothing but a look from outside needs.
func (s *uasShard) echoOf(tx signal.TxID) *echo {
	for i := range s.echoes {
		e := &s.echoes[i]
		for number := e.first; number != e.next; number++ {
			if one, _ := e.at(number); one.id == tx {
				return one
			}
		}
	}
	return nil
}
