package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"demarc/store"
	"demarc/store/storetest"
)

// A transaction whose time runs out between two statements says that the store did not answer in time, and not that something in it
// is wrong: who asked would give it up instead of trying again.
func TestATransactionThatIsLateIsUnavailable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		table := store.Table{Name: "node", Columns: []string{"node", "address", "seen_at bigint"}, Key: "node"}
		for _, last := range []string{"statement", "commit"} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			err := db.Write(ctx, func(tx store.Tx) error {
				if err := table.Write(ctx, tx, db.Dialect(), [][]any{{"n1", "", int64(1)}}); err != nil {
					return err
				}
				<-ctx.Done()
				time.Sleep(50 * time.Millisecond) // until the transaction has been rolled back
				if last == "commit" {
					return nil
				}
				return table.Write(ctx, tx, db.Dialect(), [][]any{{"n2", "", int64(1)}})
			})
			cancel()
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v", last, err)
			}
		}
	})
}
