package gateway

import (
	"testing"
	"time"

	"demarc/internal/config"
)

// A phone that says nothing between two refreshes keeps its connection until the next is due, however long that is.
func TestConnectionsOutliveRegistrations(t *testing.T) {
	for _, longest := range []time.Duration{time.Hour, 24 * time.Hour} {
		g := &Gateway{cfg: config.Config{Telephony: config.Telephony{MaxExpires: longest}}}
		if idle := g.limits().KnownIdle; idle <= longest {
			t.Errorf("registrations last %s, and a silent connection %s", longest, idle)
		}
	}
}
