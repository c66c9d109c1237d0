package compact_test

import (
	"testing"

	"pgregory.net/rapid"

	"demarc/internal/compact"
)

type word string

func (w word) Own() word { return w }

// TestSharedStandsOnce holds and releases beside a plain list, and uses numbers again.
func TestSharedStandsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, held, most := compact.NewShared[word](), map[uint32][]word{}, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			v := word(rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "value"))
			if rapid.Bool().Draw(t, "hold") {
				n := s.Hold(v)
				held[n] = append(held[n], v)
			} else {
				for n, by := range held {
					if by[0] != v {
						continue
					}
					s.Release(n)
					if held[n] = by[1:]; len(by) == 1 {
						delete(held, n)
					}
				}
			}
			most = max(most, len(held))
			if s.Len() != len(held) {
				t.Fatalf("%d values, want %d", s.Len(), len(held))
			}
			for n, by := range held {
				if int(n) >= most {
					t.Fatalf("number %d, although there were never more than %d values", n, most)
				}
				for _, want := range by {
					if *s.At(n) != want {
						t.Fatalf("number %d is %q, want %q", n, *s.At(n), want)
					}
				}
			}
		}
	})
}
