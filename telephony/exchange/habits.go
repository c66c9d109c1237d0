package exchange

import (
	"cmp"
	"sync"

	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// habits remember how phones protect the media of the calls that they begin, so that they are called in the same way: one
// that knows nothing but DTLS would refuse all else. They live in memory, in a new and an old half: what was not used for
// long is forgotten. The zero value is ready.
type habits struct {
	mu         sync.Mutex
	fresh, old map[device]sdp.Security
}

// device is one phone of a user, by its instance or else by its Contact.
type device struct {
	aor  telephony.AoR
	name string
}

// maxHabits is how many phones each half holds: 10 MB at most in all.
const maxHabits = 25_000

// deviceOf is false for a far end that cannot be known again.
func deviceOf(w signal.Way) (device, bool) {
	d := device{w.AoR, cmp.Or(w.Instance, w.Contact)}
	return d, !d.aor.IsZero() && d.name != ""
}

// learn keeps how a phone has offered.
func (h *habits) learn(w signal.Way, s sdp.Security) {
	d, ok := deviceOf(w)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(d, s)
}

// of returns how the phone last offered, or nothing.
func (h *habits) of(w signal.Way) sdp.Security {
	d, ok := deviceOf(w)
	if !ok {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.fresh[d]; ok {
		return s
	}
	s, ok := h.old[d]
	if ok {
		h.keep(d, s)
	}
	return s
}

func (h *habits) keep(d device, s sdp.Security) {
	if _, there := h.fresh[d]; h.fresh == nil || !there && len(h.fresh) >= maxHabits {
		h.old, h.fresh = h.fresh, make(map[device]sdp.Security)
	}
	h.fresh[d] = s
	delete(h.old, d)
}
