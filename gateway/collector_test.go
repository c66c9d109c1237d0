package gateway_test

import (
	"testing"

	"demarc/gateway"
)

func TestGarbagePercent(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 800, 1 << 20: 800, 10 << 20: 600, 32 << 20: 200, 64 << 20: 100, 1 << 30: 100,
	} {
		if got := gateway.GarbagePercent(live); got != want {
			t.Errorf("%d MB in use: %d %%, want %d %%", live>>20, got, want)
		}
	}
}
