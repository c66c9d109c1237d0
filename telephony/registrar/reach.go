package registrar

import (
	"cmp"
	"context"
	"slices"

	"demarc/internal/account"
	"demarc/telephony"
)

// Target is one phone of an AoR, with the ways to it. A request goes over one flow at a time, to the next when that
// one fails (RFC 5626 §7): the same phone must never get it twice.
type Target struct {
	Instance string // empty for a phone that sends none: it has one binding
	Q        int
	Flows    []Binding // reachable now, best first
	Asleep   []Binding // without a flow, but a push wakes them
}

// Lookup returns where the AoR can be reached, the phone with the highest q first, then the one that was refreshed last.
// Phones that neither have a flow nor can be woken are left out.
func (r *Registrar) Lookup(_ context.Context, aor telephony.AoR) []Target {
	return targets(r.Bindings(aor))
}

// Bindings returns every binding of the AoR that has not ended, reachable or not.
func (r *Registrar) Bindings(aor telephony.AoR) []Binding {
	s := r.shard(aor)
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	return slices.DeleteFunc(s.locations.of(aor), func(b Binding) bool { return b.over(r.node, r.present, now) })
}

// Standing returns the binding of the AoR whose phone is reached over the flow, if there is one.
func (r *Registrar) Standing(aor telephony.AoR, over Flow) (Binding, bool) {
	s := r.shard(aor)
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	for slot := range s.locations.slots(aor) {
		if b, ok := s.locations.in(slot); ok && b.Reachable && b.Flow.Same(over) && !b.over(r.node, r.present, now) {
			return b, true
		}
	}
	return Binding{}, false
}

func targets(bindings []Binding) []Target {
	slices.SortStableFunc(bindings, func(a, b Binding) int {
		return cmp.Or(cmp.Compare(b.Q, a.Q), b.RefreshedAt.Compare(a.RefreshedAt))
	})
	var all []Target
	for at := range bindings {
		b := &bindings[at]
		if !b.Reachable && !b.Asleep() {
			continue
		}
		i := -1
		if b.Instance != "" {
			i = slices.IndexFunc(all, func(t Target) bool { return telephony.SameInstance(t.Instance, b.Instance) })
		}
		if i < 0 {
			all = append(all, Target{Instance: b.Instance, Q: b.Q})
			i = len(all) - 1
		}
		to := &all[i].Asleep
		if b.Reachable {
			to = &all[i].Flows
		}
		if *to == nil {
			*to = bindings[at : at+1 : at+1] // nearly always all there are
		} else {
			*to = append(*to, *b)
		}
	}
	return all
}

// Asleep reports whether the phone has lost its flow and a push brings it back.
func (b *Binding) Asleep() bool {
	if b.Reachable || !asksForPush(b.Contact) {
		return false
	}
	push, _ := ParsePush(b.Contact)
	return push.Wakes()
}

// ended is the change that tells of a flow's end.
func (b Binding) ended() telephony.RegistrationChangeKind {
	if b.Asleep() {
		return telephony.BindingAsleep
	}
	return telephony.BindingFlowClosed
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
