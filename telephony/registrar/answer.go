package registrar

import (
	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// answer is a reply that waits for the save.
type answer struct {
	job     *job
	reply   registration.Reply
	outcome registration.Outcome
}

// answerAll answers what was saved together.
func (s *shard) answerAll(answers []answer) {
	if s.r.gathers != nil && len(answers) > 1 {
		s.r.gathers.Hold()
		defer s.r.gathers.Release()
	}
	for _, a := range answers {
		s.answer(a.job, a.reply, a.outcome)
	}
}

// answer replies, the first time it is called for a job.
func (s *shard) answer(j *job, reply registration.Reply, o registration.Outcome) {
	if j.answered {
		return
	}
	j.answered = true
	if j.counted {
		s.r.committer.answered() // before the phone can ask again
	}
	s.reply(j.reply, &j.who, reply, o)
}

func (s *shard) reply(to func(registration.Reply), who *authentication.Identity, reply registration.Reply, o registration.Outcome) {
	s.r.tally.count(o)
	reply.Sender = who.Sender(o)
	defer s.r.recovered()
	to(reply)
}

// recover turns a panic into a 500 for that one request.
func (s *shard) recover(j *job, admitted *bool) {
	if fault := recover(); fault != nil {
		s.r.panicked(fault)
		*admitted = false
		s.answer(j, registration.Reply{Status: 500}, registration.Failed)
	}
}
