package bounded

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// What was added or asked for last is in the set, what never was is not, and the set keeps its bound.
func TestMarksAreASetThatForgetsTheOldest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 200
		m, last, added := NewMarks(limit), []uint64{}, map[uint64]bool{}
		use := func(hash uint64) {
			kept := last[:0:0]
			for _, h := range last {
				if h != hash {
					kept = append(kept, h)
				}
			}
			last = append(kept, hash)
		}
		for range rapid.IntRange(1, 600).Draw(t, "steps") {
			// In the order of these the places are crowded.
			hash := rapid.Uint64Range(1, 300).Draw(t, "hash") << 16
			if rapid.Bool().Draw(t, "add") {
				m.Add(hash)
				added[hash>>16] = true
				use(hash)
			} else if m.Has(hash) {
				if !added[hash>>16] {
					t.Fatalf("%x was never added", hash)
				}
				use(hash)
			}
			for _, h := range last[max(0, len(last)-limit/2):] {
				if table := markOf(h); !m.new.has(table) && !m.old.has(table) {
					t.Fatalf("%x is forgotten, %d others were used since", h, len(last))
				}
			}
			if m.new.used > limit/2 || m.old.used > limit/2 {
				t.Fatalf("%d and %d marks, at most %d", m.new.used, m.old.used, limit/2)
			}
		}
	})
}

// A hundred thousand devices take less than a megabyte, and a stranger is not taken for one of them.
func TestMarksTakeLittleMemory(t *testing.T) {
	const devices = 100_000
	m := NewMarks(4 * devices)
	for range devices {
		m.Add(rand.Uint64())
	}
	if bytes := 4*cap(m.new.low) + 2*cap(m.new.high); bytes > 1_000_000 {
		t.Errorf("%d bytes", bytes)
	}
	for range devices {
		if hash := rand.Uint64(); m.Has(hash) {
			t.Errorf("%x is taken for a device", hash)
		}
	}
}

func BenchmarkMarks(b *testing.B) {
	m := NewMarks(1 << 18)
	hashes := make([]uint64, 100_000)
	for i := range hashes {
		hashes[i] = rand.Uint64()
		m.Add(hashes[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; !m.Has(hashes[i%len(hashes)]) {
			b.Fatal("forgotten")
		}
	}
}
