package store

import "context"

// FirstKeyset keeps the sealed text of the first node that comes, and returns what is kept.
func (db *DB) FirstKeyset(ctx context.Context, sealed []byte) (kept []byte, err error) {
	err = db.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO keyset_check (name, sealed) VALUES ('keyset', $1) ON CONFLICT (name) DO NOTHING`,
			sealed)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT sealed FROM keyset_check WHERE name = 'keyset'`).Scan(&kept)
	})
	return kept, err
}
