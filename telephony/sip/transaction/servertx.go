package transaction

import (
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"time"

	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// serverTx is one server transaction of a UAS; its shard's lock guards it. It is used again when it is over, with its memory.
type serverTx struct {
	shard *uasShard
	schedule
	identity
	frame
	peer     Peer
	method   string
	invite   bool
	reliable bool
	state    sip.State
	canceled bool      // a CANCEL came
	response []byte    // the last one
	rel      *reliable // nil: nothing was sent reliably, as nearly always
}

// identity is how a transaction is found.
type identity struct {
	id          signal.TxID
	key, origin sum
}

// frame is what all responses of a transaction copy from its request.
type frame struct {
	copied   []byte // Via to CSeq; nothing once there was a final response
	tagAt    int    // where the tag of To goes; -1 when the request had one
	localTag string // of the last response that had one
	ownTag   uint64 // for a response to which nobody gave one
}

// reliable is what RFC 3262 asks for.
type reliable struct {
	seq     uint32         // RSeq of the last one: each is one more than the last (RFC 3262 §3)
	raw     []byte         // the last one
	tag     string         // its To tag
	waiting bool           // for its PRACK
	held    []signal.Reply // until then
}

func (t *serverTx) begin(in Incoming) {
	m := in.Message
	t.peer, t.method, t.reliable, t.state = in.Peer, in.Method, in.Reliable, sip.Proceeding
	t.invite = m.Is("INVITE")
	var room [192]byte
	t.key = t.shard.of.sum(callKey(room[:0], m, in.Flow, m.Method))
	t.copied = sip.AppendParties(t.shard.spare.take(), m, in.Source)
	if t.tagAt = len(t.copied); sip.HasTag(m) {
		t.tagAt = -1
		if t.invite { // nobody asks for that of another request
			t.localTag = string(toTag(m))
		}
	}
	if t.sought() {
		t.origin = t.shard.of.sum(appendSource(room[:0], m, m.CSeq, m.Method))
	}
	t.ownTag = maphash.Bytes(t.shard.of.seed, t.copied)
	t.copied = sip.AppendOrigin(t.copied, m)
}

// sought reports whether anything may be looked for by what it shares with the request: ACKs and PRACKs of an INVITE, and copies of
// what belongs to no dialog.
func (t *serverTx) sought() bool { return t.invite || t.tagAt >= 0 }

// forget drops what a transaction holds, but for the memory that the next one may use.
func (t *serverTx) forget() {
	t.peer, t.method, t.localTag = nil, "", ""
	t.canceled, t.rel = false, nil
	t.shard.spare.give(&t.copied)
	t.shard.spare.give(&t.response)
	t.reset()
}

// answer answers a retransmission with the last response; once a 2xx went out, that is sent again by the clock alone.
func (t *serverTx) answer() {
	if t.trying() {
		t.respond(signal.Reply{Status: 100})
		return
	}
	if len(t.response) > 0 && t.state != sip.Confirmed && t.state != sip.Accepted {
		t.peer.Send(t.response)
	}
}

// trying reports whether the INVITE has got no response yet.
func (t *serverTx) trying() bool {
	return t.invite && t.state == sip.Proceeding && len(t.response) == 0
}

// respond sends a response, or keeps it until an earlier one is acknowledged: a further reliable one, and a 2xx, which must
// not overtake (RFC 3262 §3).
func (t *serverTx) respond(r signal.Reply) {
	if t.rel.waits() && (r.Reliable || r.Status/100 == 2) {
		t.rel.held = append(t.rel.held, r)
		return
	}
	switch {
	case t.tagAt < 0 || r.Status == 100:
	case r.ToTag != "":
		t.localTag = r.ToTag
	case t.localTag == "":
		t.localTag = strconv.FormatUint(t.ownTag, 36)
	}
	if r.Reliable = r.Reliable && t.invite && r.Status > 100 && r.Status < 200; r.Reliable {
		if t.rel == nil {
			t.rel = &reliable{seq: rand.Uint32N(1<<31 - 1)} // RFC 3262 §3: the first one is a random number from 1 to 2**31-1
		}
		t.rel.seq++
		t.rel.waiting, t.rel.tag = true, t.localTag
	}
	if t.trying() {
		t.clear() // no 100 is needed any more
	}
	if t.response == nil {
		t.response = t.shard.spare.take()
	}
	t.response = t.render(t.response[:0], r)
	if r.Reliable {
		t.rel.raw = append(t.rel.raw[:0], t.response...)
	}
	if !t.peer.Send(t.response) {
		t.reliable = false
	}
	t.sent(r)
}

// sent moves on after a response went out.
func (t *serverTx) sent(r signal.Reply) {
	timers := t.shard.of.timers
	state, keep := sip.Answered(r.Status, t.invite, t.reliable, timers)
	if t.state = state; state != sip.Proceeding {
		t.shard.spare.give(&t.copied)
		t.peer.Answered(t.method, r.Status)
	}
	switch {
	case r.Reliable:
		t.end = t.wheel.Now() + 64*timers.T1
		t.repeat(timers.T1)
	case state == sip.Proceeding:
	case state == sip.Accepted, state == sip.Completed && t.invite && !t.reliable:
		t.end = t.wheel.Now() + keep
		t.repeat(timers.T1)
	default:
		t.finish(t.shard.of.keep(keep))
	}
}

// render appends a response.
func (t *serverTx) render(dst []byte, r signal.Reply) []byte {
	dst = sip.AppendStatus(dst, r.Status, r.Reason)
	if t.tagAt < 0 || r.Status == 100 {
		dst = append(dst, t.copied...)
	} else {
		dst = append(dst, t.copied[:t.tagAt]...)
		dst = append(append(dst, ";tag="...), t.localTag...)
		dst = append(dst, t.copied[t.tagAt:]...)
	}
	for _, h := range r.Headers {
		dst = sip.AppendHeader(dst, h.Name, h.Value)
	}
	if r.Reliable {
		dst = append(dst, "Require: 100rel\r\nRSeq: "...)
		dst = append(strconv.AppendUint(dst, uint64(t.rel.seq), 10), "\r\n"...)
	}
	if r.ContentType != "" && len(r.Body) > 0 {
		dst = sip.AppendHeader(dst, "Content-Type", r.ContentType)
	}
	return sip.AppendEnd(dst, r.Body)
}

// waits reports whether the last reliable response waits for its PRACK.
func (r *reliable) waits() bool { return r != nil && r.waiting }

// pracked reports whether the last reliable response waited for its PRACK; what waited for that goes out.
func (t *serverTx) pracked(m *wire.Message, rseq uint32) bool {
	if !t.rel.waits() || t.rel.seq != rseq || t.state != sip.Proceeding || string(toTag(m)) != t.rel.tag {
		return false
	}
	t.rel.waiting = false
	t.clear()
	held := t.rel.held
	t.rel.held = nil
	for _, r := range held {
		if t.state == sip.Proceeding {
			t.respond(r) // holds back again what must wait for another one
		}
	}
	return true
}

// Fire is what the wheel calls, perhaps in vain: the transaction may have moved on, or be another one by now.
func (t *serverTx) Fire() {
	id, rseq, missing := t.due()
	if missing {
		t.shard.of.cfg.Missing(id, rseq)
	}
}

func (t *serverTx) due() (id signal.TxID, rseq uint32, missing bool) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	now := t.fired()
	switch {
	case t.state == sip.Terminated:
	case t.ended(now) && t.state == sip.Proceeding: // no PRACK came: the INVITE is still to be answered
		t.rel.waiting, t.rel.held = false, nil
		t.clear()
		return t.id, t.rel.seq, true
	case t.ended(now):
		id, missing = t.id, t.state == sip.Accepted
		t.terminate()
		return id, 0, missing
	case t.trying() && t.mustSend(now):
		t.respond(signal.Reply{Status: 100})
	case t.mustSend(now):
		t.peer.Send(t.again())
		t.repeated(t.next())
	default: // it was set to a later time meanwhile
		t.set()
	}
	return 0, 0, false
}

// again is what is sent by the clock.
func (t *serverTx) again() []byte {
	if t.state == sip.Proceeding {
		return t.rel.raw
	}
	return t.response
}

// next is how long until the response is sent once more: reliable provisional ones double without bound (RFC 3262 §3).
func (t *serverTx) next() time.Duration {
	if t.state == sip.Proceeding {
		return 2 * t.interval
	}
	return min(2*t.interval, t.shard.of.timers.T2)
}

// finish lets an echo of the transaction stay for a while, or ends it. One that may still be acknowledged stays as it is.
func (t *serverTx) finish(keep time.Duration) {
	switch {
	case keep == 0 || t.state == sip.Terminated:
		t.terminate()
	case t.invite && t.state == sip.Completed:
		t.endAfter(keep)
	default:
		t.shard.rest(t, keep)
	}
}

// terminate ends the transaction.
func (t *serverTx) terminate() {
	t.shard.of.size.Add(-1)
	t.retire()
}

// retire gives the transaction back to its shard.
func (t *serverTx) retire() {
	t.state = sip.Terminated
	t.shard.remove(t)
}

func fromTag(m *wire.Message) []byte {
	from, _ := m.FromAddr()
	tag, _ := wire.Param(from.Params, "tag")
	return tag
}

func toTag(m *wire.Message) []byte {
	to, _ := m.ToAddr()
	tag, _ := wire.Param(to.Params, "tag")
	return tag
}
