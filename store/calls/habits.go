package calls

import (
	"cmp"
	"context"
	"slices"
	"time"

	"demarc/store"
	"demarc/telephony"
)

var habitTable = store.Table{
	Name:    "media_habit",
	Columns: []string{"account_id", "aor", "device", "security", "seen_at bigint"},
	Key:     "account_id, aor, device",
	Where:   "media_habit.seen_at <= excluded.seen_at",
}

// KeepHabits saves habits, one of each phone, in one transaction. An older one changes nothing.
func (s *Store) KeepHabits(ctx context.Context, habits []telephony.MediaHabit) error {
	rows := make([][]any, 0, len(habits))
	for _, h := range habits {
		rows = append(rows, []any{string(h.Account), store.CleanText(h.AoR.String()), store.CleanText(h.Device), h.Security,
			store.Millis(h.SeenAt)})
	}
	slices.SortFunc(rows, func(a, b []any) int { // two writers never wait for each other in a circle
		return cmp.Or(cmp.Compare(a[0].(string), b[0].(string)), cmp.Compare(a[1].(string), b[1].(string)),
			cmp.Compare(a[2].(string), b[2].(string)))
	})
	rows = slices.CompactFunc(rows, func(a, b []any) bool { return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] })
	return s.db.Write(ctx, func(tx store.Tx) error { return habitTable.Write(ctx, tx, s.db.Dialect(), rows) })
}

// Habits returns those that were seen at a time or later, the newest limit of them.
func (s *Store) Habits(ctx context.Context, since time.Time, limit int) ([]telephony.MediaHabit, error) {
	var all []telephony.MediaHabit
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT account_id, aor, device, security, seen_at FROM media_habit WHERE seen_at >= $1
			ORDER BY seen_at DESC LIMIT $2`, store.Millis(since), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h telephony.MediaHabit
			var aor string
			var seen int64
			if err := rows.Scan(&h.Account, &aor, &h.Device, &h.Security, &seen); err != nil {
				return err
			}
			if h.AoR, err = telephony.ParseAoR(aor); err != nil {
				continue // its text was mended when it was written: nobody has that name
			}
			h.SeenAt = store.Time(seen)
			all = append(all, h)
		}
		return rows.Err()
	})
	return all, err
}
