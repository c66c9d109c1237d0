package digest

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEachCountIsGoodOnce holds what is remembered in bits against a plain list, with numbers that are neighbours.
func TestEachCountIsGoodOnce(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	rapid.Check(t, func(t *rapid.T) {
		c, used, nonces := newCounts(time.Hour, 1000), map[[2]uint64]bool{}, map[uint64]bool{}
		for range rapid.IntRange(1, 200).Draw(t, "answers") {
			id, nc := rapid.Uint64Range(60, 68).Draw(t, "number"), rapid.Uint32Range(1, 5).Draw(t, "nc")
			key, want := [2]uint64{id, uint64(nc)}, OK
			if used[key] {
				want = Replayed
			}
			if got := c.use(nonce{issued: now, id: id}, nc, now, time.Hour); got != want {
				t.Fatalf("nonce %d with count %d: %v, want %v", id, nc, got, want)
			}
			used[key], nonces[id] = true, true
		}
		if c.size != len(nonces) {
			t.Fatalf("%d nonces are counted, %d were used", c.size, len(nonces))
		}
	})
}

// A slot never begins before a nonce that has been used, however far its reader is ahead of the one that begins it.
func TestNewSlotsForgetNoUsedNonce(t *testing.T) {
	const lifetime, limit = time.Minute, 16
	c := newCounts(lifetime, limit)
	now := time.Now()
	use := func(id uint64, after time.Duration) nonce {
		n := nonce{now.Add(after), id}
		if v := c.use(n, 1, n.issued, lifetime); v != OK {
			t.Fatal(v)
		}
		return n
	}
	use(1, 0)
	ahead := use(2, 50*time.Millisecond)
	for i := range uint64(limit / 2) { // more than a slot is for
		use(3+i, 10*time.Millisecond)
	}
	if v := c.use(ahead, 1, now.Add(10*time.Millisecond), lifetime); v != Replayed {
		t.Errorf("used again: %v", v)
	}
}
