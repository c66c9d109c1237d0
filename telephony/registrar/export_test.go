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
	until, ok := refresh(&rules, &s, req, now)
	if !ok {
		return Decision{}, false
	}
	b := s.Bindings[0]
	b.CSeq, b.RefreshedAt, b.Expires = req.CSeq, now, until
	return Decision{Reply: refreshed(&rules, req, &b, now, Reply{}), Bindings: []Binding{b}, Outcome: Refreshed}, true
}
