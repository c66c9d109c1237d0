package registrar

// serveAtOnce serves a request about volatile bindings in the goroutine that brings it: nothing has to be saved first, so
// that no queue and no other goroutine is needed. It reports whether it could; what it could not is left as it was.
func (s *shard) serveAtOnce(req *Request, who *identity, reply func(Reply)) bool {
	if !s.behind() {
		return false
	}
	decision, ok := s.decideAtOnce(req, who)
	if ok {
		s.r.announce(decision.Changes)
		s.reply(reply, who, decision.Reply, decision.Outcome)
	}
	return ok
}

func (s *shard) decideAtOnce(req *Request, who *identity) (Decision, bool) {
	if !s.working.TryLock() {
		return Decision{}, false
	}
	defer s.working.Unlock()
	if !s.queue.idle() { // what came before goes first
		return Decision{}, false
	}
	decision, ok := s.consider(s.bindings[req.To], req, who)
	if !ok || decision.Reply.Status != 200 || decision.Outcome == Fetched || decision.Outcome == Retransmission {
		return Decision{}, false
	}
	s.note(req.To, decision.Bindings)
	if len(decision.Changes) > 0 {
		s.owe(decision.Changes)
		s.notePush(decision.Changes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(req.To, decision.Bindings)
	return decision, true
}
