package calls_test

import (
	"slices"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	"demarc/store/storetest"
	"demarc/telephony"
)

func TestHabitsAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s, id := calls.New(db, sealtest.New(t)), storetest.Account(t, db, "example.org")
		habit := func(user, security string, second int) telephony.MediaHabit {
			return telephony.MediaHabit{Account: id, AoR: aor(user), Device: "urn:uuid:" + user, Security: security,
				SeenAt: begin.Add(time.Duration(second) * time.Second)}
		}
		keep := func(habits ...telephony.MediaHabit) {
			t.Helper()
			if err := s.KeepHabits(t.Context(), habits); err != nil {
				t.Fatal(err)
			}
		}
		is := func(since time.Time, limit int, want ...telephony.MediaHabit) {
			t.Helper()
			got, err := s.Habits(t.Context(), since, limit)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, want)
			}
		}
		bad := habit("1003", "none", 2)
		bad.Device = "x\x00y" // a phone chooses it
		keep(habit("1002", "dtls", 1), habit("1001", "sdes", 0), bad)
		bad.Device = store.CleanText(bad.Device)
		is(begin, 9, bad, habit("1002", "dtls", 1), habit("1001", "sdes", 0))
		keep(habit("1001", "dtls", 5))
		keep(habit("1001", "none", 4)) // another node was slower
		is(begin.Add(2*time.Second), 9, habit("1001", "dtls", 5), bad)
		is(begin, 1, habit("1001", "dtls", 5))
		if err := s.Prune(t.Context(), store.Millis(begin.Add(2*time.Second))); err != nil {
			t.Fatal(err)
		}
		is(begin, 9, habit("1001", "dtls", 5), bad)
	})
}
