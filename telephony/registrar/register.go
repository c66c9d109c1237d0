package registrar

import (
	"context"

	"demarc/telephony/authentication"
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
func (r *Registrar) RegisterAtOnce(_ context.Context, req *registration.Request, reply *registration.Reply) (later func(func(registration.Reply))) {
	s := r.shard(req.To)
	who := authentication.Identity{Reply: reply.Emptied()}
	if !s.queue.open() {
		who.Reply = registration.Unavailable()
		s.finish(&who, registration.QueueFull, reply)
		return nil
	}
	r.senders.IdentifyAtOnce(req, &who)
	if !who.Unsure && !who.Admitted() && who.Text == "" {
		s.finish(&who, who.Outcome, reply)
		return nil
	}
	if who.OK {
		req.To = who.Subscriber.AoR // the same, but in memory that is kept anyway
		if s.serveAtOnce(req, &who, reply) {
			return nil
		}
	}
	req.NameContacts()
	kept := *req
	if !who.Unsure {
		kept.Authorize = nil // nobody asks again
	}
	return s.later(&job{req: kept.Own(), who: who})
}

// later queues a request for the worker.
func (s *shard) later(j *job) func(func(registration.Reply)) {
	j.who.Reply = j.who.Reply.Own()
	return func(reply func(registration.Reply)) {
		counted := !j.who.Unsure
		if j.reply, j.counted = reply, counted; !s.queue.push(j) {
			s.reply(reply, &j.who, registration.Unavailable(), registration.QueueFull)
		} else if counted {
			s.r.committer.arrives()
		}
	}
}

// finish counts a request that is answered at once, and hands out what it is answered with.
func (s *shard) finish(who *authentication.Identity, o registration.Outcome, reply *registration.Reply) {
	s.r.tally.count(o)
	*reply = who.Reply
	reply.Sender = who.Sender(o)
}
