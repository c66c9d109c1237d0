package edge

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/wire"
)

// flow is one connection, or the two addresses that datagrams go between at one UDP listener: what answers to its requests go back over.
type flow struct {
	telephony.Flow
	key     uint64 // what its transactions are found by, see transactionKey
	writer  sender
	local   netip.AddrPort          // where its listener is bound, or what of it a stream came to
	known   atomic.Bool             // somebody authenticated on it
	timer   atomic.Int32            // the Flow-Timer that its peer was told, in seconds; 0: none
	rearm   func()                  // lets a stream look at both again; nil for UDP
	user    atomic.Uint64           // who did last, by name in the books
	device  atomic.Uint64           // that proved last who it is, by name in the books
	proven  atomic.Int64            // when that went into the books, in Unix seconds
	inHand  inHand                  // requests without their reply
	node    string                  // that the phone's connection is at, when it is not this one
	payer   atomic.Pointer[payer]   // whose account the user's calls are
	serving atomic.Int32            // requests of calls without their final response
	carrier atomic.Pointer[carrier] // for requests of calls
	carried atomic.Bool             // a request of a call went out over it
	heard   time.Time               // when its last message came; its reader's own
	handed  bool                    // the handler has heard of it; its reader's own
	unseen  *wire.Message           // what came last, until the tracer has seen it; its reader's own
	gone    chan struct{}           // closed when a stream takes nothing more; nil for UDP
}

// transactionKey is the number of a stream. A UDP flow has that of its addresses: there may be more phones than flows are remembered of, and one that is
// forgotten while its phone rings gets another number for the CANCEL.
func (e *Edge) transactionKey(f telephony.Flow, node string) uint64 {
	if f.Transport.Stream() {
		return f.ID
	}
	return maphash.Comparable(e.tagSeed, addresses{node, f.Listener, pair{f.Remote, f.Local}}) | 1<<63 // above all numbers
}

// addresses are what a UDP flow is, at a node.
type addresses struct {
	node, listener string
	pair
}

// prove notes that somebody authenticated on the flow.
func (f *flow) prove() {
	if !f.known.Load() && !f.known.Swap(true) && f.rearm != nil {
		f.rearm()
	}
}

// noted reports whether it stands in the books already that a device proved who it is on this flow: they are told once in a
// while, for what they keep is good for a day.
func (f *flow) noted(device uint64, now int64) bool {
	if before := f.proven.Load(); f.device.Load() == device && now >= before && now-before < notedFor {
		return true
	}
	f.device.Store(device)
	f.proven.Store(now)
	return false
}

const notedFor = 30 // seconds

// time notes the Flow-Timer that the peer is told (RFC 5626 §5.4).
func (f *flow) time(seconds int) {
	if seconds > 0 && f.timer.Swap(int32(seconds)) != int32(seconds) && f.rearm != nil {
		f.rearm()
	}
}

// payer is a user and the account that his calls belong to.
type payer struct {
	user    telephony.AoR
	account account.ID
}

// note remembers the account of a user who stands on the flow.
func (f *flow) note(user telephony.AoR, id account.ID) {
	if known := f.payer.Load(); known == nil || *known != (payer{user, id}) {
		f.payer.Store(&payer{user, id})
	}
}

// first is note for the first user alone: where many stand on one flow, the bindings tell who they are.
func (f *flow) first(user telephony.AoR, id account.ID) {
	if f.payer.Load() == nil {
		f.payer.Store(&payer{user, id})
	}
}

// own returns a user with texts that may be kept: those that the flow keeps already, or a copy.
func (f *flow) own(user telephony.AoR) telephony.AoR {
	if known := f.payer.Load(); known != nil && known.user == user {
		return known.user
	}
	both := user.User + user.Domain
	return telephony.AoR{User: both[:len(user.User)], Domain: both[len(user.User):]}
}

// account returns the account of a user, when it is known that he stands on the flow.
func (f *flow) account(user telephony.AoR) account.ID {
	if known := f.payer.Load(); known != nil && known.user == user {
		return known.account
	}
	return ""
}

// ended reports whether a stream takes nothing more.
func (f *flow) ended() bool {
	select {
	case <-f.gone:
		return true
	default:
		return false
	}
}

// sender sends bytes, or copies them to be sent soon; it never blocks for long.
type sender interface{ Send(b []byte) }

// inHand counts requests without their reply. Unlike a WaitGroup it can be waited for until a deadline. Nothing may
// begin once somebody waits.
type inHand struct {
	n      atomic.Int64
	waited atomic.Bool   // somebody waits: nearly never
	none   chan struct{} // of capacity one
}

func newInHand() inHand { return inHand{none: make(chan struct{}, 1)} }

func (h *inHand) begin() { h.n.Add(1) }

func (h *inHand) end() {
	if h.n.Add(-1) > 0 || !h.waited.Load() {
		return
	}
	select {
	case h.none <- struct{}{}:
	default:
	}
}

// wait reports whether everything ended before ctx did.
func (h *inHand) wait(ctx context.Context) bool {
	h.waited.Store(true)
	for h.n.Load() > 0 {
		select {
		case <-h.none:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
