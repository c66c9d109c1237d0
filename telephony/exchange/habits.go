package exchange

import (
	"cmp"
	"context"
	"sync"
	"time"

	"demarc/internal/account"
	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// habits remember how phones protect the media of the calls that they begin, so that they are called in the same way: one
// that knows nothing but DTLS would refuse all else. They live in memory, where what was not used for long is forgotten. What
// changes is kept in the store behind the calls' back, from where the other nodes take it, and this one after a restart.
type habits struct {
	known *bounded.Map[device, habit]

	mu     sync.Mutex
	unkept map[device]habit // for the store
}

func newHabits() habits { return habits{known: bounded.NewMap[device, habit](maxHabits)} }

// device is one phone of a user, by its instance or else by its Contact.
type device struct {
	account account.ID
	aor     telephony.AoR
	name    string
}

type habit struct {
	security sdp.Security
	seen     time.Time // as the store has it
}

const (
	maxHabits   = 50_000         // 10 MB at most
	habitAge    = 24 * time.Hour // after which the store is told again of one that has not changed
	habitTurn   = 5 * time.Second
	habitClocks = time.Minute // that the clocks of nodes may differ
)

// deviceOf is false for a far end that cannot be known again.
func deviceOf(id account.ID, w signal.Way) (device, bool) {
	d := device{id, w.AoR, cmp.Or(telephony.CanonicalInstance(w.Instance), w.Contact)}
	return d, !d.aor.IsZero() && d.name != ""
}

// learn keeps how a phone has offered.
func (h *habits) learn(id account.ID, w signal.Way, s sdp.Security, now time.Time) {
	d, ok := deviceOf(id, w)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.known.Find(d); ok && known.security == s && now.Sub(known.seen) < habitAge {
		return
	}
	fresh := habit{s, now.UTC().Truncate(time.Millisecond)}
	h.known.Set(d, fresh)
	if h.unkept == nil {
		h.unkept = make(map[device]habit)
	}
	if len(h.unkept) < maxHabits { // else the store is away for long, and what is missing is told when the phone calls again
		h.unkept[d] = fresh
	}
}

// of returns how the phone last offered, or nothing.
func (h *habits) of(id account.ID, w signal.Way) sdp.Security {
	d, ok := deviceOf(id, w)
	if !ok {
		return ""
	}
	known, _ := h.known.Find(d)
	return known.security
}

// take returns what the store is to be told.
func (h *habits) take() (all []telephony.MediaHabit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for d, known := range h.unkept {
		all = append(all, telephony.MediaHabit{Account: d.account, AoR: d.aor, Device: d.name, Security: string(known.security), SeenAt: known.seen})
	}
	h.unkept = nil
	return all
}

// merge takes what the store says, unless something newer is known; again says that it is for the store.
func (h *habits) merge(all []telephony.MediaHabit, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range all {
		d, told := device{m.Account, m.AoR, m.Device}, habit{sdp.Security(m.Security), m.SeenAt}
		if known, _ := h.known.Find(d); known.seen.Before(told.seen) {
			h.known.Set(d, told)
		}
		if _, newer := h.unkept[d]; again && !newer {
			if h.unkept == nil {
				h.unkept = make(map[device]habit)
			}
			h.unkept[d] = told
		}
	}
}

// keepHabits exchanges habits with the store until ctx ends, and tells it the last ones then.
func (x *Exchange) keepHabits(ctx context.Context) {
	var read time.Time // up to when the store's are known
	for {
		began := x.now()
		if x.writeHabits(ctx) == nil {
			all, err := x.ports.Habits.Habits(ctx, read, maxHabits)
			if err == nil {
				x.habits.merge(all, false)
				read = began.Add(-habitClocks)
			} else if ctx.Err() == nil {
				x.log.Warn("how phones protect their media is not known from the store, and is asked again", "err", err)
			}
		}
		if !pause(ctx, habitTurn) {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = x.writeHabits(last) // which has logged it
			return
		}
	}
}

// writeHabits tells the store what has changed; what it does not take is told later.
func (x *Exchange) writeHabits(ctx context.Context) error {
	all := x.habits.take()
	if len(all) == 0 {
		return nil
	}
	err := x.ports.Habits.KeepHabits(ctx, all)
	if err != nil {
		x.count.unwritten.Add(1)
		x.log.Warn("how phones protect their media cannot be written, and is tried again", "phones", len(all), "err", err)
		x.habits.merge(all, true)
	}
	return err
}
