package registrar

import (
	"context"
	"errors"
	"fmt"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// Errors of Bindings, Directory and Feed. Detail is wrapped around them.
var (
	// ErrStoreAway says that nothing was decided: the same call may succeed later.
	ErrStoreAway = errors.New("the store is away")
	// errNotAsked is ErrStoreAway from memory: the store failed a moment ago and was left alone.
	errNotAsked = fmt.Errorf("%w, and is left alone for a moment", ErrStoreAway)
)

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
