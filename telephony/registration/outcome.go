package registration

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
	Failed   // a fault of ours
	Outcomes // how many there are
)

// String returns the outcome's name, as metrics show it.
func (o Outcome) String() string {
	names := [Outcomes]string{
		"registered", "refreshed", "removed", "fetched", "retransmission", "from_memory", "challenged", "stale_nonce",
		"replayed_nonce", "wrong_credentials", "forbidden", "bad_request", "interval_too_brief", "too_many_contacts",
		"cseq_out_of_order", "bad_extension", "first_hop_lacks_outbound", "push_not_supported", "queue_full", "store_away", "failed",
	}
	if o < 0 || o >= Outcomes {
		return "unknown"
	}
	return names[o]
}
