package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"demarc/store"
	"demarc/store/storetest"
)

// A name is one process's until that gives it back or loses its connection, and is taken again after that.
func TestANameHasOneHolder(t *testing.T) {
	url := storetest.PostgreSQLURL(t)
	first, second := opened(t, url), opened(t, url)
	mine, theirs := store.NewName(first, "node a"), store.NewName(second, "node a")
	must(t, mine.Take(t.Context()))
	must(t, mine.Take(t.Context())) // still ours
	if err := theirs.Take(t.Context()); !errors.Is(err, store.ErrNameTaken) {
		t.Fatalf("%v", err)
	}
	another := store.NewName(second, "node b")
	must(t, another.Take(t.Context()))
	other := store.NewName(first, "node b")
	if err := other.Take(t.Context()); !errors.Is(err, store.ErrNameTaken) {
		t.Fatalf("%v", err)
	}
	must(t, theirs.Evict(t.Context()))
	for end := time.Now().Add(20 * time.Second); theirs.Take(t.Context()) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the name of a lost connection was not given away")
		}
	}
	if err := mine.Take(t.Context()); !errors.Is(err, store.ErrNameTaken) {
		t.Errorf("after the connection was lost: %v", err)
	}
	must(t, another.Take(t.Context()))
	if err := other.Take(t.Context()); !errors.Is(err, store.ErrNameTaken) {
		t.Errorf("the holder of another name lost it: %v", err)
	}
	another.Release()
	theirs.Release()
	for end := time.Now().Add(20 * time.Second); mine.Take(t.Context()) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a name that was given back cannot be taken")
		}
	}
	mine.Release()
}

func opened(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{URL: url})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
