package location

import (
	"hash/maphash"
	"iter"
	"strings"
	"time"

	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/registration"
)

// Service is a location service (RFC 3261 §6, §10): the bindings of AoRs, in little memory. Reading does not change it, so that many may
// read at the same time.
type Service struct {
	seed    maphash.Seed
	epoch   int64 // Unix milliseconds; times near it are short
	slab    compact.Slab[packed]
	commons compact.Shared[common]
	agents  agents
	room    []byte // of the text that is being written
}

// New returns a service that holds nothing.
func New() *Service {
	return &Service{seed: maphash.MakeSeed(), epoch: time.Now().UnixMilli(), commons: compact.NewShared[common]()}
}

// Hash names an AoR. Nobody can choose two of the same, and the bindings of two that have it all the same are told apart.
func (l *Service) Hash(aor telephony.AoR) uint64 { return maphash.Comparable(l.seed, aor) }

// Len returns how many bindings there are.
func (l *Service) Len() int { return l.slab.Len() }

// Of returns the bindings of an AoR in a slice that is the caller's.
func (l *Service) Of(aor telephony.AoR) []registration.Binding { return l.AppendOf(nil, aor) }

// AppendOf appends the bindings of an AoR to dst.
func (l *Service) AppendOf(dst []registration.Binding, aor telephony.AoR) []registration.Binding {
	for n := range l.Slots(aor) {
		dst = append(dst, registration.Binding{})
		l.unpack(l.slab.At(n), &dst[len(dst)-1])
	}
	return dst
}

// AppendPlaced is AppendOf, and appends the slots of the bindings to another list.
func (l *Service) AppendPlaced(dst []registration.Binding, slots []uint32, aor telephony.AoR) ([]registration.Binding, []uint32) {
	for n := range l.Slots(aor) {
		dst, slots = append(dst, registration.Binding{}), append(slots, n)
		l.unpack(l.slab.At(n), &dst[len(dst)-1])
	}
	return dst, slots
}

// Slots visits the slots of an AoR's bindings, in their order. A slot is a binding's until it is put away.
func (l *Service) Slots(aor telephony.AoR) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for n := l.slab.First(uint32(l.Hash(aor))); n != 0; {
			following := l.slab.After(n)
			if l.owns(aor, l.slab.At(n)) && !yield(n) {
				return
			}
			n = following
		}
	}
}

// Put replaces the bindings of an AoR.
func (l *Service) Put(aor telephony.AoR, bindings []registration.Binding) {
	for n := range l.Slots(aor) {
		if len(bindings) == 0 {
			l.commons.Release(l.slab.At(n).common)
			l.slab.Remove(n)
			continue
		}
		l.pack(&bindings[0], l.slab.At(n))
		bindings = bindings[1:]
	}
	for i := range bindings {
		var p packed
		l.pack(&bindings[i], &p)
		l.slab.Add(uint32(l.Hash(aor)), p)
	}
}

// Prolong notes refreshes of an AoR's bindings, of which nothing but the times and CSeq differ.
func (l *Service) Prolong(aor telephony.AoR, bindings []registration.Binding) {
	i := 0
	for n := range l.Slots(aor) {
		l.slab.At(n).times(&bindings[i])
		i++
	}
}

// ProlongIn notes a refresh of the binding in a slot.
func (l *Service) ProlongIn(slot uint32, b *registration.Binding) { l.slab.At(slot).times(b) }

// In returns the binding in a slot; ok is false when it is empty.
func (l *Service) In(n uint32) (b registration.Binding, ok bool) {
	p := l.slab.At(n)
	if p.text.Empty() {
		return registration.Binding{}, false
	}
	l.unpack(p, &b)
	return b, true
}

// Sharing returns the AoRs of a hash: nearly always one, or none.
func (l *Service) Sharing(hash uint64) (found []telephony.AoR) {
	for n := l.slab.First(uint32(hash)); n != 0; n = l.slab.After(n) {
		if aor := l.aor(l.slab.At(n)); l.Hash(aor) == hash && (len(found) == 0 || found[len(found)-1] != aor) {
			found = append(found, aor)
		}
	}
	return found
}

// All visits every AoR. Meanwhile bindings of those that were visited may be put, but none of new ones.
func (l *Service) All() iter.Seq[telephony.AoR] {
	return func(yield func(telephony.AoR) bool) {
		for n := uint32(1); n <= l.slab.Slots(); n++ {
			if l.slab.At(n).text.Empty() {
				continue
			}
			aor := l.aor(l.slab.At(n))
			for first := range l.Slots(aor) {
				if first == n && !yield(aor) {
					return
				}
				break
			}
		}
	}
}

// From returns the bindings in the next slots from n on, and where to go on: at 0 when that was all.
func (l *Service) From(n uint32) (found []registration.Binding, next uint32) {
	for end := min(n+compact.Chunk, l.slab.Slots()+1); n < end; n++ {
		if b, ok := l.In(n); ok {
			found = append(found, b)
		}
	}
	if n > l.slab.Slots() {
		return found, 0
	}
	return found, n
}

// Move lets the bindings of a node have been refreshed so much later, or earlier.
func (l *Service) Move(node string, by time.Duration) {
	for n := uint32(1); n <= l.slab.Slots(); n++ {
		if p := l.slab.At(n); !p.text.Empty() && l.commons.At(p.common).node == node {
			p.refreshed += by.Milliseconds()
		}
	}
}

// agents knows the first User-Agents that came: phones are of few kinds. Some phones write their own number into it, so that
// it has a bound.
type agents struct {
	names   []string // by number, from 1
	numbers map[string]byte
}

const maxAgents = 255

// number returns the agent's number, or 0 when there are too many.
func (a *agents) number(name string) byte {
	if n, ok := a.numbers[name]; ok {
		return n
	}
	if len(a.names) == maxAgents {
		return 0
	}
	if a.numbers == nil {
		a.numbers = make(map[string]byte)
	}
	name = strings.Clone(name)
	a.names = append(a.names, name)
	a.numbers[name] = byte(len(a.names))
	return byte(len(a.names))
}
