package registrar

import (
	"context"

	"demarc/telephony/registration"
)

// Register serves a REGISTER. It never blocks for long; reply is called exactly once, from another goroutine, or at once.
func (r *Registrar) Register(ctx context.Context, req *registration.Request, reply func(registration.Reply)) {
	var now registration.Reply
	if later := r.RegisterAtOnce(ctx, req, &now); later != nil {
		later(reply)
		return
	}
	defer r.recovered()
	reply(now)
}

// RegisterAtOnce serves a REGISTER without waiting for anybody, if that can be, and fills the reply in: with 503 when too much
// is waiting, with the challenge that most requests get first, so that strangers do not fill the queues, and with the 200 when
// bindings are volatile. Who the sender is is found out here as far as memory knows; the shard asks the directory for the rest.
//
// Otherwise it returns what is to be called, once, with a function that takes the reply later, from another goroutine or at
// once. The texts of req may be borrowed: none is kept. Those of the reply are good until it is filled in again.
func (r *Registrar) RegisterAtOnce(ctx context.Context, req *registration.Request, reply *registration.Reply) (later func(func(registration.Reply))) {
	s := r.shard(req.To)
	who := identity{reply: reply.Emptied()}
	if !s.queue.open() {
		who.reply = r.unavailable()
		s.finish(&who, registration.QueueFull, reply)
		return nil
	}
	r.authenticate(ctx, "REGISTER", req, lookup{memory: true}, &who)
	if !who.unsure && !who.admitted() && who.text == "" {
		s.finish(&who, who.outcome, reply)
		return nil
	}
	if who.ok {
		req.To = who.subscriber.AoR // the same, but in memory that is kept anyway
		if s.serveAtOnce(req, &who, reply) {
			return nil
		}
	}
	req.NameContacts()
	kept := *req
	if !who.unsure {
		kept.Authorize = nil // nobody asks again
	}
	return s.later(&job{req: kept.Own(), who: who})
}

// later queues a request for the worker.
func (s *shard) later(j *job) func(func(registration.Reply)) {
	j.who.reply = j.who.reply.Own()
	return func(reply func(registration.Reply)) {
		counted := !j.who.unsure
		if j.reply, j.counted = reply, counted; !s.queue.push(j) {
			s.reply(reply, &j.who, s.r.unavailable(), registration.QueueFull)
		} else if counted {
			s.r.committer.arrives()
		}
	}
}

// finish counts a request that is answered at once, and hands out what it is answered with.
func (s *shard) finish(who *identity, o registration.Outcome, reply *registration.Reply) {
	s.r.tally.count(o)
	*reply = who.reply
	reply.Sender = who.sender(o)
}
