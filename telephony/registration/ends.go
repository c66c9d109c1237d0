package registration

import "time"

const (
	// A binding of another node that has ended by the clock is read again after a while: refreshes are no changes, and so
	// are not told. If it is still over after the longer while and its node is not there, somebody else must tell of its end; if
	// that is there, the clocks differ.
	rereadAfter = 30 * time.Second
	deadAfter   = 60 * time.Second
	againAfter  = 5 * time.Minute
)

// EndsAt is when a node has to look at the binding. Another's that is over for long and is still there belongs to a node whose clock is
// another one.
func (b *Binding) EndsAt(node string, now time.Time) time.Time {
	switch reread, dead := b.Expires.Add(rereadAfter), b.Expires.Add(deadAfter); {
	case b.Node == node:
		return b.Expires
	case reread.After(now):
		return reread
	case dead.After(now):
		return dead
	}
	return now.Add(againAfter)
}

// Over reports whether the binding has ended for a node: its own by the clock, another's when that node is not there to end it.
func (b *Binding) Over(node string, present func(string) bool, now time.Time) bool {
	if b.Node != node {
		return !b.Expires.Add(deadAfter).After(now) && (present == nil || !present(b.Node))
	}
	return !b.Expires.After(now)
}
