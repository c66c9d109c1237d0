package registrar

import (
	"time"

	"demarc/telephony"
)

const (
	refusalPause = 10 * time.Second // between two rows for the same phone
	maxRefusals  = 4096             // phones remembered per shard
	maxOfOne     = 8                // rows about one AoR within the pause, however many phones strangers make up
)

// refusals limits how often the feed tells of a refused phone: the first time always, then once in a while. Two maps
// take turns, so that memory is bounded and nothing is searched.
type refusals struct {
	current, previous map[string]time.Time
	told              map[telephony.AoR]int // in the current turn
	since             time.Time
}

// due reports whether the refusal should be told.
func (l *refusals) due(aor telephony.AoR, phone string, now time.Time) bool {
	if l.current == nil || now.Sub(l.since) >= refusalPause || len(l.current) >= maxRefusals {
		l.previous, l.current, l.since = l.current, make(map[string]time.Time), now
		l.told = make(map[telephony.AoR]int)
	}
	key := aor.String() + "\x00" + phone
	for _, seen := range []map[string]time.Time{l.current, l.previous} {
		if last, ok := seen[key]; ok && now.Sub(last) < refusalPause {
			return false
		}
	}
	if l.told[aor]++; l.told[aor] > maxOfOne {
		return false
	}
	l.current[key] = now
	return true
}
