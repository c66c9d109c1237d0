package registrar

import (
	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// serveAtOnce serves a request about volatile bindings in the goroutine that brings it: nothing has to be saved first, so
// that no queue and no other goroutine is needed. It reports whether it could; what it could not is left as it was.
func (s *shard) serveAtOnce(req *registration.Request, who *authentication.Identity, reply *registration.Reply) bool {
	if !s.behind() {
		return false
	}
	decision, ok := s.decideAtOnce(req, who)
	if ok {
		s.r.announce(decision.Changes)
		who.Reply = decision.Reply
		s.finish(who, decision.Outcome, reply)
	}
	return ok
}

// decideAtOnce decides and applies, unless something came before the request and goes first, or nothing would change.
func (s *shard) decideAtOnce(req *registration.Request, who *authentication.Identity) (registration.Decision, bool) {
	if !s.working.TryLock() {
		return registration.Decision{}, false
	}
	defer s.working.Unlock()
	if !s.queue.idle() {
		return registration.Decision{}, false
	}
	s.before, s.slots = s.locations.AppendPlaced(s.before[:0], s.slots[:0], req.To)
	now := s.now()
	state := registration.State{Account: who.Subscriber.Account, Node: s.r.node, AoR: req.To, Proof: who.Proof, Bindings: s.before, Present: s.r.present}
	if at, until, ok := registration.Refresh(&s.r.rules, &state, req, now); ok {
		s.before[at].Prolong(&state, req, now, until)
		s.mu.Lock()
		s.locations.ProlongIn(s.slots[at], &s.before[at])
		s.mu.Unlock()
		return registration.Decision{Reply: registration.AnswerRefresh(&s.r.rules, req, s.before, now, who.Reply), Outcome: registration.Refreshed}, true
	}
	req.NameContacts()
	decision := registration.Decide(s.r.rules, state, req, now)
	if decision.Reply.Status != 200 || decision.Outcome == registration.Fetched || decision.Outcome == registration.Retransmission {
		return registration.Decision{}, false
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
