package registrar

import "time"

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
	return s.refreshes(&rules, req, now)
}
