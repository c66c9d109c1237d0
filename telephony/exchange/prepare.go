package exchange

import (
	"context"

	"demarc/telephony"
	"demarc/telephony/callswitch"
)

// prepare gives a leg its names, and its media.
func (w *worker) prepare(r *running, c *callswitch.Prepare) *callswitch.Prepared {
	x := w.x
	at := place{r.call.ID, c.Leg}
	p := w.spare.Prepared()
	p.Leg, p.Tag, p.Session = c.Leg, tag(at, w.dice.number()), w.dice.number()>>2
	p.Contact = w.contact(r.account, at, &c.Way.Flow)
	if c.Ours {
		p.CallID = w.dice.id()
	} else if refusal := x.tooMany(r, r.call.Leg(c.Leg)); refusal != nil {
		p.Refused = refusal
		return p
	}
	if x.cfg.Policy != nil {
		p.Policy, p.Setting = x.cfg.Policy(r.account, c.Way)
	}
	if p.Setting == "" {
		p.Setting = x.habits.of(r.account, c.Way)
	}
	if !c.Media {
		return p
	}
	id := mediaID(r.serial, c.Leg)
	local, err := x.ports.Media.Open(telephony.MediaOpening{ID: id, Listener: c.Way.Flow.Listener, Peer: c.Way.Flow.Remote.Addr(),
		Video: c.Video, Open: !c.Way.Flow.Transport.Secure()})
	if err != nil {
		p.Refused = &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 503, Text: err.Error()}, RetryAfter: 10}
		return p
	}
	p.Media, p.Local = id, local
	return p
}

// agree tells the media; what it does not take ends the leg.
func (w *worker) agree(r *running, c *callswitch.Agree) {
	if err := w.x.ports.Media.Agree(c.Media, *c.Agreed); err != nil {
		w.answer(callswitch.Noticed{Leg: c.Leg, Event: telephony.MediaEvent{ID: c.Media, Kind: telephony.SecurityFailed, Text: err.Error()}})
	}
}

// route asks where a call goes, and holds the called user's limit against it.
func (w *worker) route(r *running, q callswitch.Question) callswitch.Routed {
	routed := w.x.ports.Next.Next(context.Background(), q)
	if routed.Refused != nil || routed.Callee.IsZero() {
		return routed
	}
	if n := w.x.busy(routed.Callee, r); n >= w.x.cfg.Limits.UserCalls {
		return callswitch.Routed{Callee: routed.Callee, Refused: &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch,
			Code: 486, Text: "The called user has too many calls."}}}
	}
	w.x.enter(r, routed.Callee)
	return routed
}

func (w *worker) wakeUp(r *running, c callswitch.Wake) {
	if w.x.ports.Waker == nil {
		return
	}
	if err := w.x.ports.Waker.Wake(context.Background(), r.account, c.AoR, c.Target); err != nil {
		w.x.log.Warn("a phone was not woken", "user", c.AoR.String(), "err", err)
	}
}
