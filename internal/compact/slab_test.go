package compact_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"demarc/internal/compact"
)

// TestSlabTellsValuesOfOneHashApart has few hashes and many values.
func TestSlabTellsValuesOfOneHashApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s compact.Slab[int]
		model := map[uint32][]int{}
		for i := range rapid.IntRange(1, 400).Draw(t, "steps") {
			hash := rapid.Uint32Range(0, 7).Draw(t, "hash") * 64
			if values := model[hash]; len(values) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				s.Remove(s.First(hash))
				model[hash] = values[1:]
			} else {
				s.Add(hash, i)
				model[hash] = append(values, i)
			}
			var got []int
			for n := s.First(hash); n != 0; n = s.After(n) {
				got = append(got, *s.At(n))
			}
			if !slices.Equal(got, model[hash]) {
				t.Fatalf("%v, want %v", got, model[hash])
			}
		}
	})
}
