package registrar

import (
	"slices"
	"time"
)

// Misses returns how many phones' unanswered probes are remembered.
func (r *Registrar) Misses() (n int) {
	for _, s := range r.shards {
		s.working.Lock()
		n += len(s.misses)
		s.working.Unlock()
	}
	return n
}

// Refresh is Decide by the short way. ok is false when that is not for the request.
func Refresh(rules Rules, s State, req *Request, now time.Time) (d Decision, ok bool) {
	at, until, ok := refresh(&rules, &s, req, now)
	if !ok {
		return Decision{}, false
	}
	d = Decision{Bindings: slices.Clone(s.Bindings), Outcome: Refreshed}
	d.Bindings[at].prolong(&s, req, now, until)
	d.Reply = refreshed(&rules, req, d.Bindings, now, Reply{})
	return d, true
}
