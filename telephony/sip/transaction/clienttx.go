package transaction

import (
	"math/rand/v2"
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// clientTx is one client transaction of a UAC; its shard's lock guards it. It is used again when it is over, with its memory.
type clientTx struct {
	shard *uacShard
	schedule
	clientState
}

// clientState is all of a transaction that does not outlive it.
type clientState struct {
	id       clientID
	secret   uint64 // in the branch: each way has its own
	method   string
	asks     *asks      // until a final response; nil for a CANCEL
	way      signal.Way // the one under way
	carrier  Carrier
	invite   bool
	state    sip.State
	rang     bool // more than a 100 came
	canceled bool
	most     time.Duration // until when an INVITE within a dialog may be under way, by the wheel; 0: as long as its sender likes
	raw      []byte        // the request; once it is refused, the ACK
	answers  []answer
}

// asks is what is only needed until a request is answered: far longer its transaction waits for retransmissions.
type asks struct {
	out    signal.Outgoing
	tried  int    // how many of its ways
	reason string // of the CANCEL
}

// answer is what is remembered of the dialogs that an INVITE began.
type answer struct {
	tag     string
	rseq    uint32 // of the last reliable provisional response (RFC 3262 §4)
	final   bool   // a 2xx came
	ack     []byte
	carrier Carrier
}

// forget drops what a transaction holds, but for the memory that the next one may use.
func (t *clientTx) forget() {
	t.shard.spare.give(&t.raw)
	for i := range t.answers {
		t.shard.spare.give(&t.answers[i].ack)
	}
	t.settle()
	clear(t.answers[:cap(t.answers)])
	t.clientState = clientState{answers: t.answers[:0]}
	t.reset()
}

// ask begins with a request that is to be sent.
func (t *clientTx) ask(out *signal.Outgoing) {
	s := t.shard
	if n := len(s.spareAsks); n > 0 {
		t.asks, s.spareAsks = s.spareAsks[n-1], s.spareAsks[:n-1]
	} else {
		t.asks = new(asks)
	}
	t.asks.out, t.method, t.invite, t.state = *out, out.Method, out.Method == "INVITE", sip.Calling
}

// settle forgets the request: it has been answered, or nobody waits for that.
func (t *clientTx) settle() {
	if t.asks == nil {
		return
	}
	*t.asks = asks{}
	if len(t.shard.spareAsks) < maxFree {
		t.shard.spareAsks = append(t.shard.spareAsks, t.asks)
	}
	t.asks = nil
}

// hasMore reports whether there is another way to try.
func (t *clientTx) hasMore() bool { return t.asks != nil && t.asks.tried < len(t.asks.out.Ways) }

// try sends the request over the next way that is open. Without one it is over.
func (t *clientTx) try() (Failure, bool) {
	a := t.asks
	size := sizeOf(&a.out)
	why := "there is no way to the phone"
	for t.hasMore() {
		t.way = a.out.Ways[a.tried]
		a.tried++
		c, err := t.shard.of.cfg.Ways.Open(t.way, size)
		if err != nil {
			why = err.Error()
			continue
		}
		t.carrier, t.state = c, sip.Calling
		t.secret = rand.Uint64()
		t.raw = appendOutgoing(t.room(), &a.out, c, t.id, t.secret)
		t.launch()
		return Failure{}, false
	}
	return t.fail(503, why), true
}

// room is where a message of the transaction is written.
func (t *clientTx) room() []byte {
	if t.raw == nil {
		return t.shard.spare.take()
	}
	return t.raw[:0]
}

// launch sends the request and sets timers A and B, or E and F.
func (t *clientTx) launch() {
	t.carrier.Send(t.way.AoR, t.raw)
	timers := t.shard.of.timers
	t.end = t.wheel.Now() + 64*timers.T1
	if t.reliable() {
		t.resend = 0
		t.set()
		return
	}
	t.repeat(timers.T1)
}

// sizeOf estimates how many bytes the request will have.
func sizeOf(out *signal.Outgoing) int {
	n := len(out.Method) + len(out.URI) + len(out.Body) + 200
	for _, h := range out.Headers {
		n += len(h.Name) + len(h.Value) + 4
	}
	return n
}

func (t *clientTx) reliable() bool { return t.carrier.Flow().Transport.Stream() }

// comesOver reports whether a response may come over the flow: the one that the request left on, or another one of the very
// same phone. A UDP flow is its addresses.
func (u *UAC) comesOver(way *signal.Way, over *Carrier, f telephony.Flow) bool {
	own := (*over).Flow()
	if own.ID == f.ID || !f.Transport.Stream() && own.Listener == f.Listener && own.Remote == f.Remote {
		return true
	}
	ways := u.cfg.Ways
	if !ways.SamePhone(*way, f.ID) {
		return false
	}
	moved := *way
	moved.Flow = f
	if c, err := ways.Open(moved, 0); err == nil {
		*way, *over = moved, c
	}
	return true
}

// receive takes a response that belongs here.
func (t *clientTx) receive(m *wire.Message) (News, Failure, bool) {
	switch {
	case m.Status == 430 && t.untouched() && t.hasMore() && !t.canceled: // RFC 5626 §7: that flow is gone
		failure, failed := t.try()
		return Old, failure, failed
	case t.state == sip.Completed:
		if m.Status >= 200 {
			t.carrier.Send(t.way.AoR, t.raw) // the ACK
		}
		return Old, Failure{}, false
	case t.state == sip.Accepted:
		return t.accepted(m), Failure{}, false
	case m.Status < 200:
		return t.provisional(m), Failure{}, false
	}
	return t.final(m), Failure{}, false
}

// untouched reports whether the phone has not answered in any way: another node's 100 is not the phone's.
func (t *clientTx) untouched() bool {
	return t.state == sip.Calling || t.state == sip.Proceeding && !t.rang && t.carrier.Route() != ""
}

// provisional stops timers A and B; what is not an INVITE is still sent, every T2 (§17.1.2.2).
func (t *clientTx) provisional(m *wire.Message) News {
	first := t.state == sip.Calling
	t.state, t.rang = sip.Proceeding, t.rang || m.Status > 100
	switch {
	case !t.invite:
		if first && !t.reliable() {
			t.repeat(t.shard.of.timers.T2)
		}
	case !t.canceled: // a phone that was lost has come back, perhaps
		if first && len(tagOf(t.asks.out.Headers)) > 0 { // nobody is rung
			t.most = t.wheel.Now() + 64*t.shard.of.timers.T1
		}
		t.resend, t.end = 0, t.most
		t.set()
	case first:
		t.clear()
		t.cancel()
	}
	if m.Status == 100 || t.id.cancel || t.known(m) {
		return Old
	}
	return Told
}

// known reports whether a reliable provisional response is not to be told: it came before, or is not the next one of its dialog, so
// that one before it is missing (RFC 3262 §4). Each dialog that the INVITE began counts for itself, from any number. What is missing is sent
// again, and what follows it after that.
func (t *clientTx) known(m *wire.Message) bool {
	rseq := RSeq(m)
	if rseq == 0 || !wire.HasToken(m.Require, "100rel") {
		return false
	}
	a := t.answer(toTag(m))
	if a == nil || a.rseq != 0 && rseq != a.rseq+1 {
		return true
	}
	a.rseq = rseq
	return false
}

// RSeq returns the number of a reliable provisional response (RFC 3262 §7.1), or 0.
func RSeq(m *wire.Message) uint32 {
	lines := m.Values("RSeq")
	if len(lines) != 1 {
		return 0
	}
	n, _ := wire.Number(lines[0])
	return n
}

// maxAnswers bounds the dialogs of one INVITE: a phone can make any number of them up.
const maxAnswers = 32

// answer returns what is remembered of a dialog, or nil when there are too many.
func (t *clientTx) answer(tag []byte) *answer {
	for i := range t.answers {
		if t.answers[i].tag == string(tag) {
			return &t.answers[i]
		}
	}
	if len(t.answers) == maxAnswers {
		return nil
	}
	t.answers = append(t.answers, answer{tag: string(tag)})
	return &t.answers[len(t.answers)-1]
}

// final takes the first final response.
func (t *clientTx) final(m *wire.Message) News {
	state, keep := responded(m.Status, t.invite, t.reliable(), t.shard.of.timers)
	told := Told
	if t.id.cancel {
		told = Old
	}
	t.state = state
	if t.invite && m.Status >= 300 {
		t.raw = t.appendRelated(t.room(), "ACK", string(m.To))
		t.carrier.Send(t.way.AoR, t.raw)
	}
	if state == sip.Accepted {
		t.answers = t.answers[:0] // nothing provisional is told any more
		t.answer(toTag(m)).final = true
		t.shard.spare.give(&t.raw)
	}
	t.settle()
	if state == sip.Terminated {
		t.terminate()
		return told
	}
	t.endAfter(t.shard.of.keep(keep))
	return told
}

// accepted takes what comes after a 2xx: the same again gets its ACK again, another dialog's is told (RFC 6026 §7.2).
func (t *clientTx) accepted(m *wire.Message) News {
	if m.Status/100 != 2 {
		return Old
	}
	a := t.answer(toTag(m))
	if a == nil {
		return Old
	}
	if a.final {
		if a.ack != nil {
			a.carrier.Send(t.way.AoR, a.ack)
		}
		return Old
	}
	a.final = true
	return Told
}
