package store_test

import (
	"path/filepath"
	"testing"

	"demarc/store"
	"demarc/store/storetest"
)

// upgraded runs a test on both databases, each at an old version that before fills, and migrated from there.
func upgraded(t *testing.T, version int64, before, test func(t *testing.T, db *store.DB)) {
	for dialect, url := range map[store.Dialect]string{
		store.SQLite: "sqlite:" + filepath.Join(t.TempDir(), "demarc.db"), store.PostgreSQL: storetest.PostgreSQLURL(t),
	} {
		t.Run(string(dialect), func(t *testing.T) {
			db, err := store.Open(t.Context(), store.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.MigrateTo(t.Context(), version); err != nil {
				t.Fatal(err)
			}
			before(t, db)
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			test(t, db)
		})
	}
}

// Who took part in calls is still known once the list is kept in the order of calls.
func TestPartiesAreKept(t *testing.T) {
	upgraded(t, 26, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO call_party (account_id, aor, started_at, call_id)
				VALUES ('a', '1@x', 2, '01'), ('a', '2@x', 2, '01'), ('a', '1@x', 1, '02')`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, db *store.DB) {
		var calls int
		var last string
		err := db.Read(t.Context(), func(q store.Tx) error {
			return q.QueryRow(t.Context(), `SELECT COUNT(*), MAX(call_id) FROM call_party WHERE account_id = 'a' AND aor = '1@x'`).
				Scan(&calls, &last)
		})
		if err != nil || calls != 2 || last != "02" {
			t.Errorf("%d calls, the last %q, %v", calls, last, err)
		}
	})
}
