package authentication

import (
	"context"
	"hash/maphash"
	"time"

	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registration"
)

// Config of an Authenticator. All of it is needed where nothing else is said.
type Config struct {
	Directory  Directory
	Timeout    time.Duration // of one lookup
	Offers     Offers
	Algorithms []digest.Algorithm // all that Offers may return: hashes of others are not kept in memory; nil: any
	ThirdParty bool               // lets From differ from To (RFC 3261 §10.2)

	Node          string // which nonces are bound to
	NonceKey      []byte
	NonceLifetime time.Duration // 10 minutes when 0

	Away   func() error // why the directory is not to be asked now; nil while it is
	Failed func(error)  // is told when the directory could not say, or was not asked
	Now    func() time.Time
}

// Authenticator finds out who sent a request. Its methods are safe for concurrent use.
type Authenticator struct {
	credentials *credentials
	verifier    *digest.Verifier
	offers      Offers
	thirdParty  bool
	seed        maphash.Seed // of proofs
	oldNonces   repeats
	failed      func(error)
	now         func() time.Time
}

// New returns an authenticator that knows no domain before Load.
func New(c Config) *Authenticator {
	return &Authenticator{
		credentials: newCredentials(c.Directory, c.Timeout, c.Algorithms, c.Now, c.Away),
		verifier:    digest.NewVerifier(digest.Config{Key: c.NonceKey, Node: c.Node, Lifetime: c.NonceLifetime, Now: c.Now}),
		offers:      c.Offers, thirdParty: c.ThirdParty, seed: maphash.MakeSeed(), failed: c.Failed, now: c.Now,
	}
}

// Load reads which domains are served, and forgets what the directory said of subscribers before.
func (a *Authenticator) Load(ctx context.Context) error { return a.credentials.load(ctx) }

// Identify finds out who sent a REGISTER, and fills the identity in, which is to be empty but for a Reply whose lists may be used again. It may
// ask the directory, for as long as Config.Timeout.
func (a *Authenticator) Identify(ctx context.Context, req *registration.Request, id *Identity) {
	a.authenticate(ctx, "REGISTER", req, lookup{}, id)
}

// IdentifyAtOnce is Identify from memory alone: the identity is unsure where the directory would have to be asked.
func (a *Authenticator) IdentifyAtOnce(req *registration.Request, id *Identity) {
	a.authenticate(context.Background(), "REGISTER", req, lookup{memory: true}, id)
}

// Subscriber returns whose an AoR is, as the directory said; ErrUnknown when it is nobody's.
func (a *Authenticator) Subscriber(ctx context.Context, aor telephony.AoR) (Subscriber, error) {
	e, err := a.credentials.subscriber(ctx, aor, lookup{})
	switch {
	case err != nil:
		return Subscriber{}, err
	case !e.found:
		return Subscriber{}, ErrUnknown
	}
	return e.subscriber, nil
}

// SubscriberAtOnce is Subscriber from memory, empty for who is nobody; it is not sure of who has to be looked up first.
func (a *Authenticator) SubscriberAtOnce(aor telephony.AoR) (s Subscriber, sure bool) {
	e, err := a.credentials.subscriber(context.Background(), aor, lookup{memory: true})
	return e.subscriber, err == nil
}

// Domain returns a domain that is served. It asks nobody.
func (a *Authenticator) Domain(name string) (d Domain, served bool) {
	return a.credentials.domain(name)
}
