package registrar

import (
	"context"
	"slices"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/registration"
)

// Lookup returns where the AoR can be reached, the phone with the highest q first, then the one that was refreshed last.
// Phones that neither have a flow nor can be woken are left out.
func (r *Registrar) Lookup(_ context.Context, aor telephony.AoR) []registration.Target {
	return registration.Targets(r.Bindings(aor))
}

// Bindings returns every binding of the AoR that has not ended, reachable or not.
func (r *Registrar) Bindings(aor telephony.AoR) []registration.Binding {
	s := r.shard(aor)
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	return slices.DeleteFunc(s.locations.Of(aor), func(b registration.Binding) bool { return b.Over(r.node, r.present, now) })
}

// Standing returns the binding of the AoR whose phone is reached over the flow, if there is one.
func (r *Registrar) Standing(aor telephony.AoR, over telephony.Flow) (registration.Binding, bool) {
	s := r.shard(aor)
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	for slot := range s.locations.Slots(aor) {
		if b, ok := s.locations.In(slot); ok && b.Reachable && b.Flow.Same(over) && !b.Over(r.node, r.present, now) {
			return b, true
		}
	}
	return registration.Binding{}, false
}

// Account returns whose an AoR is, as the directory said; ErrUnknown when it is nobody's.
func (r *Registrar) Account(ctx context.Context, aor telephony.AoR) (account.ID, error) {
	s, err := r.subscriber(ctx, aor)
	return s.Account, err
}

// AccountAtOnce is Account from memory, empty for who is nobody; it is not sure of who has to be looked up first.
func (r *Registrar) AccountAtOnce(aor telephony.AoR) (owner account.ID, sure bool) {
	e, err := r.credentials.subscriber(context.Background(), aor, lookup{memory: true})
	return e.subscriber.Account, err == nil
}

// SRTP returns whether media of a user's phones is to be encrypted, as the directory said: required, preferred, off, or
// nothing where it leaves that open. It is ErrUnknown for nobody's AoR.
func (r *Registrar) SRTP(ctx context.Context, aor telephony.AoR) (string, error) {
	s, err := r.subscriber(ctx, aor)
	return s.SRTP, err
}

// SRTPAtOnce is SRTP from memory; it is not sure of who has to be looked up first.
func (r *Registrar) SRTPAtOnce(aor telephony.AoR) (setting string, sure bool) {
	e, err := r.credentials.subscriber(context.Background(), aor, lookup{memory: true})
	return e.subscriber.SRTP, err == nil
}

// SRTPOfOthers returns the settings that some users of a domain have of their own, each once. It asks nobody.
func (r *Registrar) SRTPOfOthers(domain string) []string {
	d, _ := r.credentials.domain(domain)
	return d.SRTP
}

func (r *Registrar) subscriber(ctx context.Context, aor telephony.AoR) (Subscriber, error) {
	e, err := r.credentials.subscriber(ctx, aor, lookup{})
	switch {
	case err != nil:
		return Subscriber{}, err
	case !e.found:
		return Subscriber{}, ErrUnknown
	}
	return e.subscriber, nil
}
