package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
)

// parties is the migration that makes call_party a list in the order of its key, by the ids of calls. Such a table is all key, and
// each call writes several rows of it: SQLite is told to keep them once, in the index alone.
func parties(dialect Dialect) *goose.Migration {
	alone := ""
	if dialect == SQLite {
		alone = " WITHOUT ROWID"
	}
	steps := []string{
		`ALTER TABLE call_party RENAME TO call_party_before`,
		`CREATE TABLE call_party (
			account_id TEXT NOT NULL,
			aor        TEXT NOT NULL, -- user@domain
			call_id    TEXT NOT NULL,
			PRIMARY KEY (account_id, aor, call_id)
		)` + alone,
		`INSERT INTO call_party SELECT account_id, aor, call_id FROM call_party_before`,
		`DROP TABLE call_party_before`,
	}
	return goose.NewGoMigration(28, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		for _, step := range steps {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("call_party: %w", err)
			}
		}
		return nil
	}}, nil)
}
