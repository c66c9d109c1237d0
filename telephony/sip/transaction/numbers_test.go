package transaction

import (
	"math/rand/v2"
	"testing"
)

// Whatever is added and removed, each number is found by its own sum and by no other one, also where the sums crowd into few places.
func TestNumbersAreFoundByTheirSums(t *testing.T) {
	for seed := range uint64(20) {
		chance := rand.New(rand.NewPCG(seed, 1))
		var n numbers
		want := make(map[uint32]sum)
		queue := []uint32{}
		check := func(number uint32, s sum, there bool) {
			if _, ok := n.find(s, func(got uint32) bool { return got == number }); ok != there {
				t.Fatalf("seed %d: number %d of %x: found %v with %d in it", seed, number, s, ok, n.used)
			}
		}
		for number := range uint32(3000) {
			s := sum{chance.Uint64N(1 << (4 + seed)), uint64(number)}
			n.add(s, number)
			want[number], queue = s, append(queue, number)
			for len(queue) > 0 && chance.IntN(100) < 48 { // mostly the oldest
				at := 0
				if chance.IntN(4) == 0 {
					at = chance.IntN(len(queue))
				}
				gone := queue[at]
				queue = append(queue[:at], queue[at+1:]...)
				n.remove(want[gone], gone)
				check(gone, want[gone], false)
				delete(want, gone)
			}
			if number%100 == 0 {
				for number, s := range want {
					check(number, s, true)
				}
			}
		}
		if n.used != len(want) || 2*n.used > len(n.slots) {
			t.Errorf("seed %d: %d in %d places, want %d", seed, n.used, len(n.slots), len(want))
		}
	}
}
