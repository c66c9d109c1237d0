package sip

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"demarc/telephony/wire"
)

// ErrFull is returned by Transactions.Receive when there are as many transactions as there may be: answer 503.
var ErrFull = errors.New("sip: too many server transactions")

// Transactions is a bounded table of server transactions. They absorb retransmissions and answer them with the bytes of
// the last response; the final response to an INVITE is sent again until its ACK.
type Transactions struct {
	timers Timers
	limit  int

	mu     sync.Mutex
	table  map[string]*ServerTx
	closed bool
}

// ServerTx is one server transaction (RFC 3261 §17.2).
type ServerTx struct {
	of       *Transactions
	key      string
	invite   bool
	reliable bool
	send     func([]byte)

	// Guarded by of.mu.
	state    State
	response []byte
	interval time.Duration // timer G's next wait
	resend   *time.Timer   // timer G
	end      *time.Timer   // timers H, I, J and L
}

// NewTransactions returns an empty table of at most limit transactions.
func NewTransactions(t Timers, limit int) *Transactions {
	return &Transactions{timers: t.WithDefaults(), limit: limit, table: make(map[string]*ServerTx)}
}

// Receive matches a request that came over the flow. fresh is true when it starts a transaction: the caller then
// answers by Respond, once finally. Retransmissions and ACKs to final non-2xx answers are dealt with here and give
// fresh false; an ACK that belongs to nothing here gives a nil transaction. send may be called until the transaction
// ends; it must not block.
func (t *Transactions) Receive(
	req *wire.Message, flow uint64, reliable bool, send func([]byte),
) (tx *ServerTx, fresh bool, err error) {
	key := transactionKey(req, flow)
	t.mu.Lock()
	defer t.mu.Unlock()
	tx, known := t.table[key]
	switch {
	case known && req.Is("ACK"):
		tx.acknowledge()
		return tx, false, nil
	case known:
		if tx.response != nil && tx.state != Confirmed && tx.state != Accepted {
			tx.send(tx.response)
		}
		return tx, false, nil
	case req.Is("ACK"):
		return nil, false, nil
	case t.closed || len(t.table) >= t.limit:
		return nil, false, ErrFull
	}
	tx = &ServerTx{of: t, key: key, invite: req.Is("INVITE"), reliable: reliable, send: send, state: Proceeding}
	t.table[key] = tx
	return tx, true, nil
}

// Respond sends a response and keeps its bytes. A response after the final one is dropped.
func (tx *ServerTx) Respond(status int, raw []byte) {
	t := tx.of
	t.mu.Lock()
	defer t.mu.Unlock()
	if tx.state != Proceeding {
		return
	}
	tx.send(raw)
	tx.response = raw
	state, keep := Answered(status, tx.invite, tx.reliable, t.timers)
	if tx.state = state; state == Proceeding {
		return
	}
	tx.endAfter(keep)
	if tx.invite && state == Completed && !tx.reliable {
		tx.interval = t.timers.T1
		tx.resend = time.AfterFunc(tx.interval, tx.again)
	}
}

// Forget ends the transaction at once: a retransmission is a request of its own again. It is for answers to strangers,
// who could fill the table.
func (tx *ServerTx) Forget() {
	tx.of.mu.Lock()
	defer tx.of.mu.Unlock()
	if tx.of.table[tx.key] == tx {
		tx.terminate()
	}
}

// State returns where the transaction stands.
func (tx *ServerTx) State() State {
	tx.of.mu.Lock()
	defer tx.of.mu.Unlock()
	return tx.state
}

// Len returns the number of transactions.
func (t *Transactions) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.table)
}

// Close ends all transactions and their timers; nothing is sent after it.
func (t *Transactions) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, tx := range t.table {
		tx.terminate()
	}
}

func (tx *ServerTx) acknowledge() {
	state, keep := Acknowledged(tx.state, tx.reliable, tx.of.timers)
	if state == tx.state {
		return
	}
	tx.state = state
	if tx.resend != nil {
		tx.resend.Stop()
	}
	tx.endAfter(keep)
}

// endAfter starts the timer that ends the transaction, at once when keep is zero.
func (tx *ServerTx) endAfter(keep time.Duration) {
	if tx.end != nil {
		tx.end.Stop()
	}
	if keep == 0 {
		tx.terminate()
		return
	}
	state := tx.state
	tx.end = time.AfterFunc(keep, func() {
		tx.of.mu.Lock()
		defer tx.of.mu.Unlock()
		if tx.state == state { // else a timer that was stopped too late
			tx.terminate()
		}
	})
}

// again is timer G: the interval doubles up to T2.
func (tx *ServerTx) again() {
	tx.of.mu.Lock()
	defer tx.of.mu.Unlock()
	if tx.state != Completed {
		return
	}
	tx.send(tx.response)
	tx.interval = min(2*tx.interval, tx.of.timers.T2)
	tx.resend.Reset(tx.interval)
}

func (tx *ServerTx) terminate() {
	tx.state = Terminated
	for _, timer := range []*time.Timer{tx.resend, tx.end} {
		if timer != nil {
			timer.Stop()
		}
	}
	delete(tx.of.table, tx.key)
}

// transactionKey matches as RFC 3261 §17.2.3 says, within one flow.
func transactionKey(req *wire.Message, flow uint64) string {
	method := req.Method
	if req.Is("ACK") {
		method = invite
	}
	return string(AppendKey(make([]byte, 0, 128), req, flow, method))
}

var invite = []byte("INVITE")

// AppendKey appends what a transaction is found by: flow, branch, sent-by and method; for a branch without the magic cookie
// (RFC 2543) From, Call-ID and CSeq instead.
func AppendKey(key []byte, req *wire.Message, flow uint64, method []byte) []byte {
	key = binary.LittleEndian.AppendUint64(key, flow)
	key = append(append(key, method...), 0)
	v, _, ok := req.TopVia()
	if branch := v.Branch(); ok && len(branch) > len(MagicCookie) && wire.EqualFold(branch[:7], MagicCookie) {
		key = append(append(key, branch...), 0)
		return append(key, v.SentBy...)
	}
	key = append(append(key, req.From...), 0)
	key = append(append(key, req.CallID...), 0)
	return binary.BigEndian.AppendUint32(key, req.CSeq)
}

// MagicCookie starts every branch of RFC 3261 (§8.1.1.7).
const MagicCookie = "z9hG4bK"
