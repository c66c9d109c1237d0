package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"demarc/internal/timeline"
	"demarc/store"
	"demarc/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestWriteCommitsOrNothing(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acct := storetest.Account(t, db, "one.example")
		boom := errors.New("boom")
		err := db.Write(ctx, func(tx store.Tx) error {
			if _, err := tx.Exec(ctx, `DELETE FROM account WHERE account_id = $1`, string(acct)); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("err = %v", err)
		}
		var name string
		var n int64
		err = db.Read(ctx, func(q store.Tx) error {
			return q.QueryRow(ctx, `SELECT name, created_at FROM account WHERE account_id = $1 OR name = $1`, string(acct)).
				Scan(&name, &n)
		})
		if err != nil || name != "one.example" || n != 1 {
			t.Fatalf("after rollback: %q %d %v", name, n, err)
		}
	})
}

func TestReadCannotWrite(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Read(ctx, func(q store.Tx) error {
			_, err := q.Exec(ctx, `DELETE FROM account WHERE account_id = $1`, "x")
			return err
		})
		if err == nil {
			t.Fatal("a read transaction wrote")
		}
	})
}

func TestConflictIsTold(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		storetest.Account(t, db, "one.example")
		insert := func(domain string) error {
			return db.Write(ctx, func(tx store.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO account (account_id, name, domain, created_at) VALUES ($1, '$1 stays', $2, 0)`,
					"acc_"+domain, domain)
				return err
			})
		}
		if err := insert("one.example"); !store.IsConflict(err) || errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("repeated domain: %v", err)
		}
		if err := insert("two.example"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTimelineNewestFirst(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acct := storetest.Account(t, db, "one.example")
		at := time.UnixMilli(1_700_000_000_000).UTC()
		err := db.Write(ctx, func(tx store.Tx) error {
			return store.WriteTimeline(ctx, tx,
				timeline.Entry{Account: acct, User: "u", At: at, Kind: timeline.Added, Text: "first", Actor: "m"},
				timeline.Entry{Account: acct, User: "u", At: at, Kind: timeline.SIPError, Code: 401, Text: "bad \x00\xff text",
					Device: "d"},
				timeline.Entry{Account: acct, User: "other", At: at, Kind: timeline.Added})
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []timeline.Entry
		err = db.Read(ctx, func(q store.Tx) (err error) {
			got, err = store.ReadTimeline(ctx, q, acct, "u", 10)
			return err
		})
		if err != nil || len(got) != 2 {
			t.Fatalf("%d entries, %v", len(got), err)
		}
		if got[0].Code != 401 || got[0].Text != "bad \uFFFD\uFFFD text" || got[0].Device != "d" || !got[0].At.Equal(at) {
			t.Errorf("newest = %+v", got[0])
		}
		if got[1].Text != "first" || got[1].Actor != "m" {
			t.Errorf("oldest = %+v", got[1])
		}
	})
}

func TestSecondProcessIsKeptAway(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "demarc.db")
	first, err := store.Open(context.Background(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(context.Background(), store.Config{URL: url}); err == nil {
		t.Fatal("the store was opened twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(context.Background(), store.Config{URL: url})
	if err != nil {
		t.Fatalf("after closing: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever a directory is called, the database is in it and nowhere else.
func TestDirectoriesMayHaveAnyName(t *testing.T) {
	for _, name := range []string{"100% so", "a?b=c", "a#b", "%41", "ä ö+&"} {
		within := t.TempDir()
		db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(within, name, "demarc.db")})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if all, err := filepath.Glob(filepath.Join(within, "*")); err != nil || len(all) != 1 || filepath.Base(all[0]) != name {
			t.Errorf("%q: what was made is %q, %v", name, all, err)
		}
	}
}

func TestFirstKeysetStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for _, sealed := range []string{"first", "second"} {
			kept, err := db.FirstKeyset(t.Context(), []byte(sealed))
			if err != nil || string(kept) != "first" {
				t.Errorf("after %s came: %q %v", sealed, kept, err)
			}
		}
	})
}

func TestUnavailableIsTold(t *testing.T) {
	_, err := store.Open(context.Background(), store.Config{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=2"})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	db := storetest.SQLite(t)
	if err := db.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
}

func TestTornConnectionIsUnavailable(t *testing.T) {
	db, ctx := storetest.PostgreSQL(t), t.Context()
	for what, torn := range map[string]func(tx store.Tx) error{
		"ended by the server": func(tx store.Tx) error {
			_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
			return err
		},
		"used after its end": func(tx store.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`); err == nil {
				return errors.New("it lives")
			}
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		},
		"cut in the middle": func(store.Tx) error { return fmt.Errorf("reading: %w", io.ErrUnexpectedEOF) },
	} {
		if err := db.Write(ctx, torn); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := db.Ping(ctx); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestCheckText(t *testing.T) {
	for text, ok := range map[string]bool{"plain": true, "": true, "ä": true, "a\x00": false, "\xff": false} {
		if err := store.CheckText("fine", text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
