package registrar

import "sync/atomic"

// Outcome is how a REGISTER ended: what the counters count.
type Outcome int

// The outcomes.
const (
	Registered Outcome = iota
	Refreshed
	Removed
	Fetched
	Retransmission
	FromMemory    // refreshed while the store was away
	Challenged    // no credentials yet
	StaleNonce    // right, but with an old nonce
	ReplayedNonce // right, but with a used nonce count
	WrongCredentials
	Forbidden
	BadRequest
	TooBrief
	TooMany
	OutOfOrder
	BadExtension // 420: Path from who is no configured proxy
	NoFirstHop   // 439: the phone's proxy does not know outbound
	NoPush       // 555: a push provider that is not served here
	QueueFull
	StoreAway
	Failed // a fault of ours
	outcomes
)

// String returns the outcome's name, as metrics show it.
func (o Outcome) String() string {
	names := [outcomes]string{
		"registered", "refreshed", "removed", "fetched", "retransmission", "from_memory", "challenged", "stale_nonce",
		"replayed_nonce", "wrong_credentials", "forbidden", "bad_request", "interval_too_brief", "too_many_contacts",
		"cseq_out_of_order", "bad_extension", "first_hop_lacks_outbound", "push_not_supported", "queue_full", "store_away", "failed",
	}
	if o < 0 || o >= outcomes {
		return "unknown"
	}
	return names[o]
}

// Counters is a snapshot of what the registrar has done since it was made, and of what it holds.
type Counters struct {
	Registers      map[string]uint64 // REGISTER requests by outcome
	Bindings       int
	Panics         uint64 // faults of the program
	PushFaults     uint64 // phones that registered with push parameters that cannot be used
	Stranded       uint64 // phones of other nodes whose connection ended with their node
	DroppedChanges uint64 // feed rows given up while the store was away for long
	StoreAway      bool
}

type tally struct {
	registers [outcomes]atomic.Uint64
	dropped   atomic.Uint64
	push      atomic.Uint64
	panics    atomic.Uint64
	stranded  atomic.Uint64
}

func (t *tally) count(o Outcome) { t.registers[o].Add(1) }

func (t *tally) snapshot() Counters {
	c := Counters{Registers: make(map[string]uint64, outcomes), DroppedChanges: t.dropped.Load(),
		PushFaults: t.push.Load(), Panics: t.panics.Load(), Stranded: t.stranded.Load()}
	for o := range outcomes {
		c.Registers[o.String()] = t.registers[o].Load()
	}
	return c
}
