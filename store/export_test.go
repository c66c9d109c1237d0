package store

import "context"

// MigrateTo brings the schema to an earlier version, from nothing.
func (db *DB) MigrateTo(ctx context.Context, version int64) error {
	if db.dialect == PostgreSQL { // whose scratch databases are migrated
		for _, statement := range []string{`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`} {
			if _, err := db.write.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	provider, err := db.provider()
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}
