package edge

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"demarc/telephony/edge/guard"
	"demarc/telephony/registration"
	"demarc/telephony/wire"
)

// admitted holds a request that means work against the budgets, before any digest is computed. Who guessed too much is met
// with silence; when there is too much work, strangers are told to come back later and known devices are served.
func (e *Edge) admitted(f *flow, m *wire.Message, c *guard.Caller) bool {
	known := f.user.Load() == c.Name
	if c.Answers && !known && !e.standing.MayGuess(c) {
		e.count.rejects.add(Reject{f.Listener, "guesses"}, 1)
		return false
	}
	if int(f.inHand.n.Load()) >= e.cfg.Limits.FlowReplies {
		e.seen(f)
		e.later(f, m)
		return false
	}
	known = known || f.known.Load()
	busy := int(e.inHand.n.Load()) >= e.cfg.Limits.Waiting
	if e.standing.Admit(known) && (known || !busy) || !known && e.standing.Recognises(c) {
		return true
	}
	e.count.rejects.add(Reject{f.Listener, "overload"}, 1)
	e.seen(f)
	e.later(f, m)
	return false
}

// later answers 503. Retry-After is spread, so that those who are told together do not come back together.
func (e *Edge) later(f *flow, m *wire.Message) {
	e.answer(f, m, 503, "", header{"Retry-After", strconv.Itoa(5 + rand.IntN(10))})
}

// callerOf returns who a REGISTER says it is from.
func (e *Edge) callerOf(req *registration.Request) guard.Caller {
	c := e.standing.Caller(req.To, req.Flow.Remote.Addr())
	c.CallID, c.Answers = req.CallID, len(req.Authorize) > 0
	if len(req.Contacts) > 0 {
		c.Instance = req.Contacts[0].Instance
	}
	return c
}

// learned keeps the books after a reply.
func (e *Edge) learned(f *flow, c *guard.Caller, s registration.Sender, now time.Time) {
	switch s {
	case registration.Proven:
		if f.user.Load() != c.Name {
			f.user.Store(c.Name)
		}
		f.prove()
		if device := e.standing.Device(c); !f.noted(device, now.Unix()) {
			e.standing.Proven(c, now)
		}
	case registration.Wrong:
		if e.standing.Wrong(c) {
			e.silence(f, c)
		}
	}
}

// silence tells of who is not heard from now on, for he may be a phone that somebody has to mend.
func (e *Edge) silence(f *flow, c *guard.Caller) {
	if h, ok := e.handler.(Guesses); ok && e.faultRate.Allow() {
		limits := e.cfg.Limits
		h.GuessesSpent(f.Flow, c.AoR, fmt.Sprintf("after %d wrong passwords for this extension from there, further requests are left unanswered, but one "+
			"every %v", limits.Guesses, limits.GuessRefill))
	}
}

// silent reports whether a flow's source is banned. A flow on which somebody proved who they are never is.
func (e *Edge) silent(f *flow) bool {
	return !f.known.Load() && e.standing.Banned(f.Remote.Addr())
}

// fits reports whether an answer may go to where a datagram came from: an address that nobody proved anything from may be
// forged, and then the answer hits somebody else. It must not be worth an attacker's while.
func (e *Edge) fits(f *flow, request, answer int) bool {
	return f.Transport.Stream() || f.known.Load() || worth(request, answer)
}

// worth reports whether an answer is at most one and a half times its request, in bytes of payload.
func worth(request, answer int) bool { return 2*answer <= 3*request }
