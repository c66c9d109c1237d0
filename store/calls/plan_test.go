package calls

import (
	"strings"
	"testing"

	"demarc/store"
	"demarc/store/storetest"
	"demarc/telephony"
)

// A user's calls are found by the indexes made for that: SQLite takes one of a part of the rows only where a question says so too.
func TestAUsersCallsAreFoundByIndex(t *testing.T) {
	db := storetest.SQLite(t)
	for _, live := range []bool{false, true} {
		query := listQuery(&telephony.CallFilter{Party: telephony.AoR{User: "1001", Domain: "example.org"}, Live: live})
		var plan strings.Builder
		err := db.Read(t.Context(), func(q store.Tx) error {
			rows, err := q.Query(t.Context(), `EXPLAIN QUERY PLAN `+query, "acc", "0", endOfIDs, 9, int64(1), int64(0), int64(9), "1001@example.org")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id, parent, unused int
				var step string
				if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
					return err
				}
				plan.WriteString(step + "\n")
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"USING INDEX call_caller (caller_key=? AND begun>? AND begun<?)",
			"USING INDEX call_called (called_key=? AND begun>? AND begun<?)", "p USING PRIMARY KEY (account_id=? AND aor=? AND call_id>?"} {
			if !strings.Contains(plan.String(), step) {
				t.Errorf("live %v: no step %q in\n%s", live, step, plan.String())
			}
		}
		if strings.Contains(plan.String(), "SCAN c\n") {
			t.Errorf("live %v: all calls are read:\n%s", live, plan.String())
		}
	}
}
