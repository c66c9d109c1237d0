package registrar

// serveAtOnce serves a request about volatile bindings in the goroutine that brings it: nothing has to be saved first, so
// that no queue and no other goroutine is needed. It reports whether it could; what it could not is left as it was.
func (s *shard) serveAtOnce(req *Request, who *identity, reply *Reply) bool {
	if !s.behind() {
		return false
	}
	decision, ok := s.decideAtOnce(req, who)
	if ok {
		s.r.announce(decision.Changes)
		who.reply = decision.Reply
		s.finish(who, decision.Outcome, reply)
	}
	return ok
}

// decideAtOnce decides and applies, unless something came before the request and goes first, or nothing would change.
func (s *shard) decideAtOnce(req *Request, who *identity) (Decision, bool) {
	if !s.working.TryLock() {
		return Decision{}, false
	}
	defer s.working.Unlock()
	if !s.queue.idle() {
		return Decision{}, false
	}
	s.before, s.slots = s.locations.appendPlaced(s.before[:0], s.slots[:0], req.To)
	now := s.now()
	state := State{Account: who.subscriber.Account, Node: s.r.node, AoR: req.To, Proof: who.proof, Bindings: s.before, Present: s.r.present}
	if at, until, ok := refresh(&s.r.rules, &state, req, now); ok {
		s.before[at].prolong(&state, req, now, until)
		s.mu.Lock()
		s.locations.slab.At(s.slots[at]).times(&s.before[at])
		s.mu.Unlock()
		return Decision{Reply: refreshed(&s.r.rules, req, s.before, now, who.reply), Outcome: Refreshed}, true
	}
	req.nameContacts()
	decision := Decide(s.r.rules, state, req, now)
	if decision.Reply.Status != 200 || decision.Outcome == Fetched || decision.Outcome == Retransmission {
		return Decision{}, false
	}
	s.note(s.before, decision.Bindings)
	if len(decision.Changes) > 0 {
		s.owe(decision.Changes)
		s.notePush(decision.Changes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(req.To, s.before, decision.Bindings)
	return decision, true
}
