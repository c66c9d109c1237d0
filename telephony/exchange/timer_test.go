package exchange_test

import "testing"

// The wheel fires a call's timer while the call's worker sets it again: neither disturbs the other, as the race detector sees.
func TestATimerFiresWhileItIsSet(t *testing.T) {
	s := newSite(t)
	for fired := 0; fired == 0; {
		fired = s.x.SetTimers(5)
	}
}
