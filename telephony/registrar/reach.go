package registrar

import (
	"context"
	"slices"

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
