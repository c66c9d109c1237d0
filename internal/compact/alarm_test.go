package compact_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/internal/compact"
)

var epoch = time.Unix(1_700_000_000, 0)

// TestAlarmIsDueOnceAndNeverEarly sets slots and takes them out beside a map of the earliest times that they were set to.
func TestAlarmIsDueOnceAndNeverEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, now, set := compact.NewAlarm(epoch), epoch, map[uint32]time.Time{}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		seconds := rapid.IntRange(0, 100)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "set") {
				slot := rapid.Uint32Range(1, 9).Draw(t, "slot")
				at := now.Add(time.Duration(seconds.Draw(t, "in")) * time.Second)
				if before, ok := set[slot]; !ok || at.Before(before) {
					set[slot] = at
				}
				a.At(slot, at)
				continue
			}
			now = now.Add(time.Duration(seconds.Draw(t, "later")) * time.Second)
			for found := a.Due(now, limit); len(found) > 0; found = a.Due(now, limit) {
				if len(found) > limit {
					t.Fatalf("%d slots at once, at most %d", len(found), limit)
				}
				for _, slot := range found {
					if at, ok := set[slot]; !ok || now.Before(at) {
						t.Fatalf("slot %d is due at %s, set to %s (%t)", slot, now, at, ok)
					}
					delete(set, slot)
				}
			}
			for slot, at := range set {
				if now.Sub(at) > time.Second {
					t.Fatalf("slot %d was to be looked at %s ago", slot, now.Sub(at))
				}
			}
		}
	})
}

// When the clock is set by much, all slots are looked at: none is to wait for a time that has gone by, or is far off.
func TestAlarmBeginsAnewWhenTheClockIsSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -time.Minute, "ahead": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			a := compact.NewAlarm(epoch)
			a.At(1, epoch.Add(time.Hour))
			a.At(2, epoch.Add(24*time.Hour))
			a.Due(epoch.Add(30*time.Second), 10)
			now := epoch.Add(30*time.Second + by)
			found := a.Due(now, 10)
			found = append(found, a.Due(now.Add(time.Second), 10)...)
			if len(found) != 2 {
				t.Errorf("%v are due, want both", found)
			}
		})
	}
}
