package registrar

import (
	"context"
	"errors"
	"fmt"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registration"
)

// Errors of the interfaces below. Detail is wrapped around them.
var (
	ErrUnknown = errors.New("not in the directory")
	// ErrStoreAway says that nothing was decided: the same call may succeed later.
	ErrStoreAway = errors.New("the store is away")
	// errNotAsked is ErrStoreAway from memory: the store failed a moment ago and was left alone.
	errNotAsked = fmt.Errorf("%w, and is left alone for a moment", ErrStoreAway)
)

// Domain is a SIP domain that demarc serves.
type Domain struct {
	Account account.ID
	Realm   string
	SRTP    []string // the settings that some of its subscribers have of their own, each once
}

// Subscriber is who may register as an AoR, and how they prove it.
type Subscriber struct {
	Account      account.ID
	AoR          telephony.AoR
	AuthUsername string
	Hashes       []digest.Hash
	SRTP         string // required, preferred or off: whether media of the phones is encrypted; empty: as for all
}

// Directory knows domains and subscribers.
type Directory interface {
	// Domains returns all that are served, by name: they are few, and asking for one would take longer than knowing it.
	Domains(ctx context.Context) (map[string]Domain, error)
	// Subscriber returns ErrUnknown for who is not there; any other error means that nobody can tell, and is answered with 503.
	Subscriber(ctx context.Context, aor telephony.AoR) (Subscriber, error)
	// Version differs after every change of the directory.
	Version(ctx context.Context) (int64, error)
}

// Batch is what one save commits together. No key stands twice.
type Batch struct {
	Node    string
	Put     []registration.Binding
	Prolong []*registration.Binding // in the store but for CSeq, RefreshedAt and Expires, found by Row; not there any more: like Put
	Remove  []Removal
	Changes []telephony.RegistrationChange // the store numbers them, without gaps per node
}

// Empty reports whether there is nothing to save.
func (b Batch) Empty() bool {
	return len(b.Put) == 0 && len(b.Prolong) == 0 && len(b.Remove) == 0 && len(b.Changes) == 0
}

// Bindings keeps bindings across restarts.
type Bindings interface {
	// Load returns the bindings that the node saved.
	Load(ctx context.Context, node string) ([]registration.Binding, error)
	// Save commits the whole batch or nothing, and keeps nothing of it. An error that is not ErrStoreAway means that something in
	// the batch cannot be stored.
	Save(ctx context.Context, batch Batch) error
}

// Gathering is told when several replies come at once.
type Gathering interface {
	Hold()    // what is replied from now on may wait
	Release() // until now
}

// Offers returns the algorithms to challenge with, in order, for a realm at a listener; never by AoR, for that would
// tell who exists.
type Offers func(realm, listener string) []digest.Algorithm

// OfferMD5 is the one offer that every phone understands: two challenges break some, SHA-256 alone locks others out.
func OfferMD5(string, string) []digest.Algorithm { return []digest.Algorithm{digest.MD5} }
