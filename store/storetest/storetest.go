// Package storetest runs a test on every database that the store supports: SQLite in a file, and a real PostgreSQL in a
// scratch cluster that the test binary starts and ends itself. No compatibility promise.
package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"demarc/internal/account"
	"demarc/store"
)

// Main is the TestMain of a package that uses Each or PostgreSQL: it ends the cluster.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopCluster(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		code = 1
	}
	os.Exit(code)
}

// Each runs the test once on SQLite and once on PostgreSQL, each time on a fresh migrated store.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, PostgreSQL(t)) })
}

// SQLite returns a fresh migrated store in a file.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "demarc.db"))
	if err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

// PostgreSQL returns a store on a fresh migrated database of the scratch cluster.
func PostgreSQL(t testing.TB) *store.DB {
	t.Helper()
	return open(t, PostgreSQLURL(t))
}

// PostgreSQLURL returns the URL of a fresh migrated database, for tests that open it themselves.
func PostgreSQLURL(t testing.TB) string {
	t.Helper()
	url, err := freshDatabase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Account inserts an account with the SIP domain and returns its id.
func Account(t testing.TB, db *store.DB, domain string) account.ID {
	t.Helper()
	id := account.ID(account.NewID("acc"))
	err := db.Write(context.Background(), func(tx store.Tx) error {
		_, err := tx.Exec(context.Background(), `INSERT INTO account (account_id, name, domain, created_at)
			VALUES ($1, $2, $3, $4)`, string(id), domain, domain, 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}
