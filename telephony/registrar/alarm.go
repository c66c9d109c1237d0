package registrar

import (
	"time"

	"demarc/telephony"
)

// alarmStep is how finely bindings end.
const alarmStep = 250 * time.Millisecond

// alarm knows which AoR to look at when. An AoR stands in it once: at its earliest end as of the time it was set, so
// that a refresh costs nothing here.
type alarm struct {
	began time.Time
	last  int64 // steps that have been looked at
	steps map[int64][]telephony.AoR
	next  map[telephony.AoR]int64
}

func newAlarm(now time.Time) alarm {
	return alarm{began: now, last: -1, steps: make(map[int64][]telephony.AoR), next: make(map[telephony.AoR]int64)}
}

// set makes the AoR due when the first of the bindings has to be looked at.
func (a *alarm) set(aor telephony.AoR, bindings []Binding, node string, now time.Time) {
	if len(bindings) == 0 {
		return
	}
	first := bindings[0].endsAt(node, now)
	for i := range bindings[1:] {
		if ends := bindings[1+i].endsAt(node, now); ends.Before(first) {
			first = ends
		}
	}
	a.at(aor, first)
}

// at makes the AoR due at a time, or leaves it due at an earlier one.
func (a *alarm) at(aor telephony.AoR, t time.Time) {
	step := max(a.step(t)+1, a.last+1)
	if at, ok := a.next[aor]; ok && at <= step {
		return
	}
	a.next[aor] = step
	a.steps[step] = append(a.steps[step], aor)
}

// due takes out up to limit AoRs whose time has come.
func (a *alarm) due(now time.Time, limit int) []telephony.AoR {
	current := a.step(now)
	if current < a.last { // the clock was set back
		a.last = current
		return nil
	}
	var found []telephony.AoR
	for step := a.last + 1; step <= current && len(a.steps) > 0; step++ {
		waiting := a.steps[step]
		for len(waiting) > 0 && len(found) < limit {
			aor := waiting[0]
			waiting = waiting[1:]
			if a.next[aor] == step {
				delete(a.next, aor)
				found = append(found, aor)
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

func (a *alarm) step(t time.Time) int64 { return int64(t.Sub(a.began) / alarmStep) }
