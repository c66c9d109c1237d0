package registrar

// serveAtOnce serves a refresh of volatile bindings in the goroutine that brings it: nothing has to be saved, so that no
// queue and no other goroutine is needed. It reports whether it could; what it could not is left as it was.
func (s *shard) serveAtOnce(j *job) bool {
	if !s.r.volatile || !j.who.ok {
		return false
	}
	decision, ok := s.refreshAtOnce(j)
	if ok {
		s.answer(j, decision.Reply, decision.Outcome)
	}
	return ok
}

func (s *shard) refreshAtOnce(j *job) (Decision, bool) {
	if !s.working.TryLock() {
		return Decision{}, false
	}
	defer s.working.Unlock()
	if !s.queue.idle() { // what came before goes first
		return Decision{}, false
	}
	decision, ok := s.consider(s.bindings[j.req.To], j)
	if !ok || decision.Outcome != Refreshed || len(decision.Changes) > 0 {
		return Decision{}, false
	}
	d := s.newDraft()
	d.set(j.req.To, decision.Bindings)
	if !d.batch().Empty() {
		return Decision{}, false
	}
	s.apply(d)
	return decision, true
}
