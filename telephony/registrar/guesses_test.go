package registrar_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
)

// Who is not heard any more stands once in the timeline of the user whose password was guessed, and in nobody's for a name that nobody has.
func TestSpentGuessesAreTold(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	f.phone("1001", "wrong", 1).must(401, nil)
	f.phone("1009", "wrong", 2).must(401, nil)
	spent := func(user, from string) {
		f.GuessesSpent(telephony.Flow{Transport: telephony.UDP, Remote: netip.MustParseAddrPort(from)}, telephony.NewAoR(user, alice.Domain),
			"after 10 wrong passwords")
	}
	told := func() int { return strings.Count(f.memory.told(), "silenced") }
	for _, from := range []string{"192.0.2.7:5060", "192.0.2.7:5061", "192.0.2.8:5060"} {
		spent("1001", from)
		spent("1009", from)
	}
	eventually(t, "1001 is told", func() bool { return told() == 1 })
	f.clock.advance(11 * time.Minute)
	spent("1001", "192.0.2.9:5060")
	eventually(t, "1001 is told anew", func() bool { return told() == 2 })
	if s := f.memory.told(); strings.Contains(s, "1009") {
		t.Error(s)
	}
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	for _, c := range f.memory.feed {
		if c.Kind == telephony.GuessesSpent && (c.Account != "acc_1" || !strings.Contains(c.Text, "192.0.2.") || !strings.Contains(c.Text, "after 10")) {
			t.Errorf("%+v", c)
		}
	}
}
