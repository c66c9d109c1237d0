package authentication

import (
	"context"
	"errors"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
)

// ErrUnknown says that somebody is not in the directory. Detail is wrapped around it.
var ErrUnknown = errors.New("not in the directory")

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

// Offers returns the algorithms to challenge with, in order, for a realm at a listener; never by AoR, for that would
// tell who exists.
type Offers func(realm, listener string) []digest.Algorithm

// OfferMD5 is the one offer that every phone understands: two challenges break some, SHA-256 alone locks others out.
func OfferMD5(string, string) []digest.Algorithm { return []digest.Algorithm{digest.MD5} }
