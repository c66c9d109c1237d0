package compact

import (
	"math"
	"time"
)

// alarmStep is how finely an Alarm tells times apart.
const alarmStep = 250 * time.Millisecond

// Alarm knows which slot to look at when. A slot stands in it once: at the earliest time that was set, so that a refresh costs
// nothing here. Nothing is taken out: who is looked at too early, or is somebody else by then, is set again.
type Alarm struct {
	began time.Time
	last  int64 // steps that have been looked at
	steps map[int64][]uint32
	next  []uint32 // by slot: its step and 1, or 0
}

// NewAlarm returns one that goes by the wall clock, as the times that it is set to do.
func NewAlarm(now time.Time) Alarm {
	return Alarm{began: now.Round(0), last: -1, steps: make(map[int64][]uint32)}
}

// At makes a slot due at a time, or leaves it due at an earlier one.
func (a *Alarm) At(slot uint32, t time.Time) {
	step := min(max(a.step(t)+1, a.last+1), math.MaxUint32-1)
	for int(slot) >= len(a.next) {
		a.next = append(a.next, 0)
	}
	if set := int64(a.next[slot]); set != 0 && set-1 <= step {
		return
	}
	a.next[slot] = uint32(step + 1)
	a.steps[step] = append(a.steps[step], slot)
}

// Due takes out up to limit slots whose time has come.
func (a *Alarm) Due(now time.Time, limit int) []uint32 {
	current := a.step(now)
	switch {
	case a.last-current > setBack, current-a.last > setAhead:
		a.restart(now)
		return nil
	case current < a.last:
		return nil
	}
	var found []uint32
	for step := a.last + 1; step <= current && len(a.steps) > 0; step++ {
		waiting := a.steps[step]
		for len(waiting) > 0 && len(found) < limit {
			slot := waiting[0]
			waiting = waiting[1:]
			if int64(a.next[slot]) == step+1 {
				a.next[slot] = 0
				found = append(found, slot)
			}
		}
		if len(waiting) > 0 {
			a.steps[step] = waiting
			a.last = step - 1
			return found
		}
		delete(a.steps, step)
	}
	a.last = current
	return found
}

// By how many steps the clock must be set before that matters. A machine may begin its life in 1970.
const (
	setBack  = int64(10 * time.Second / alarmStep)
	setAhead = int64(time.Hour / alarmStep)
)

// restart begins anew, because the clock was set: all slots are due. Whose time has not come is set again, to the right time.
func (a *Alarm) restart(now time.Time) {
	*a = Alarm{began: now.Round(0), last: -1, steps: make(map[int64][]uint32), next: a.next}
	for slot := range a.next {
		if set := a.next[slot]; set != 0 {
			a.next[slot] = 1
			a.steps[0] = append(a.steps[0], uint32(slot))
		}
	}
}

func (a *Alarm) step(t time.Time) int64 { return int64(t.Sub(a.began) / alarmStep) }
