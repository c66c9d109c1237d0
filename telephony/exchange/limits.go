package exchange

import (
	"slices"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// What there may be at once counts calls that last for people. One that has ended and only waits for the answer to a BYE has given its
// media back, and is bounded as that transaction is.

// begun counts a call that begins, before anything is done for it; gone one that is not there any more, or never came to be.
func (x *Exchange) begun(r *running) {
	r.lasts = true
	x.count.live.Add(1)
	x.count.lasting.Add(1)
}

func (x *Exchange) gone(r *running) {
	x.endedForPeople(r)
	x.count.live.Add(-1)
}

// endedForPeople has a call count against no limit any more.
func (x *Exchange) endedForPeople(r *running) {
	if r.lasts {
		r.lasts = false
		x.count.lasting.Add(-1)
	}
	if r.known {
		r.known = false
		x.tables.account.change(r.account, func(n int) (int, bool) { return n - 1, n > 1 })
	}
	x.leave(r)
	r.people = nil
}

// full reports whether the node has no room for another call.
func (x *Exchange) full() bool { return x.count.lasting.Load() >= int64(x.cfg.Limits.Calls) }

// tooMany refuses a leg that comes in of a user or an account that has too many calls. Who begins a call is in it from then on; who
// takes one over or joins it, once he has.
func (x *Exchange) tooMany(r *running, l *callswitch.Leg) *callswitch.Refusal {
	refuse := func(text string) *callswitch.Refusal {
		return &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 480, Text: text}, RetryAfter: 30}
	}
	if n, _ := x.tables.account.get(r.account); n > x.cfg.Limits.AccountCalls {
		return refuse("Your company has too many calls at once.")
	}
	if x.busy(l.Who.AoR, r)+others(r.call, l) >= x.cfg.Limits.UserCalls {
		return refuse("You have too many calls at once.")
	}
	if len(r.call.Legs) == 1 {
		x.enter(r, l.Who.AoR)
	}
	return nil
}

// others counts the legs of a user in a call that he has begun beside one: by taking over and joining he could have any number of them, each with
// ports of its own.
func others(c *callswitch.Call, one *callswitch.Leg) (n int) {
	into := one.Part.Into
	for _, l := range c.Legs {
		if into.Place && l.ID == into.Leg { // it goes
			continue
		}
		if l != one && !l.Ours && l.Who.AoR == one.Who.AoR && l.Since.Ended.IsZero() {
			n++
		}
	}
	return n
}

// busy counts the calls of a user but this one.
func (x *Exchange) busy(aor telephony.AoR, but *running) int {
	calls, _ := x.tables.people.get(aor)
	n := len(calls)
	if slices.Contains(but.people, aor) {
		n--
	}
	return n
}

// mostAsked is how many requests of one call that one phone causes and another one is to answer may be under way: digits, progress of transfers and
// PRACKs. Two phones, of which one asks and the other answers nothing, could fill the node's transactions otherwise.
const mostAsked = 64

// asked counts such a request, and reports whether it may be sent. One that may not has its response at once.
func (w *worker) asked(r *running, o *signal.Outgoing) bool {
	if !counts(o.Method) {
		return true
	}
	if r.asked == mostAsked {
		w.x.count.refused.Add(1)
		w.events = append(w.events, callswitch.Event{Signal: &signal.Response{Tx: o.Tx, Method: o.Method, Status: 503, Local: true,
			Reason: "the phone has not answered what it was asked before"}})
		return false
	}
	r.asked++
	return true
}

// answered notes the end of one.
func (r *running) answered(e signal.Event) {
	if s, ok := e.(*signal.Response); ok && s.Status >= 200 && counts(s.Method) {
		r.asked = max(0, r.asked-1)
	}
}

func counts(method string) bool { return method == "INFO" || method == "NOTIFY" || method == "PRACK" }
