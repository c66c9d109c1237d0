package registration

import (
	"cmp"
	"slices"

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

// Targets groups bindings by phone: the phone with the highest q first, then the one that was refreshed last. It orders the bindings
// in place.
func Targets(bindings []Binding) []Target {
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

// Ended is the change that tells of a flow's end.
func (b Binding) Ended() telephony.RegistrationChangeKind {
	if b.Asleep() {
		return telephony.BindingAsleep
	}
	return telephony.BindingFlowClosed
}
