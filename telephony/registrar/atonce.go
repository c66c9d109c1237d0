package registrar

import "slices"

// serveAtOnce serves a refresh of volatile bindings in the goroutine that brings it: nothing has to be saved, so that no
// queue and no other goroutine is needed. It reports whether it could; what it could not is left as it was.
func (s *shard) serveAtOnce(req *Request, who *identity, reply func(Reply)) bool {
	if !s.r.volatile {
		return false
	}
	decision, ok := s.refreshAtOnce(req, who)
	if ok {
		s.reply(reply, who, decision.Reply, decision.Outcome)
	}
	return ok
}

func (s *shard) refreshAtOnce(req *Request, who *identity) (Decision, bool) {
	if !s.working.TryLock() {
		return Decision{}, false
	}
	defer s.working.Unlock()
	if !s.queue.idle() { // what came before goes first
		return Decision{}, false
	}
	before := s.bindings[req.To]
	decision, ok := s.consider(before, req, who)
	if !ok || decision.Outcome != Refreshed || len(decision.Changes) > 0 || len(s.backlog) > 0 || len(s.unsaved) > 0 ||
		!slices.EqualFunc(decision.Bindings, before, func(b, old Binding) bool { return refreshes(&b, &old) }) {
		return Decision{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(req.To, decision.Bindings)
	return decision, true
}
