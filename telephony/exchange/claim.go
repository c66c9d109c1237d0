package exchange

import (
	"context"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/encoding"
)

// lost is the cause of calls whose node was away, and has come back.
var lost = telephony.Cause{Who: telephony.Network, Code: 500, Text: "node lost: the server that had the call was restarted"}

// claim ends the calls that this node had when it went down: their phones get BYE where they can be reached, and their
// history its end.
func (x *Exchange) claim(ctx context.Context) {
	if x.cfg.Carried != nil {
		select {
		case <-x.cfg.Carried:
		case <-ctx.Done():
			return
		}
	}
	wait := firstWait
	for {
		open, err := x.ports.History.Open(ctx, x.cfg.Node)
		if err == nil {
			for _, c := range open {
				x.reclaim(c)
			}
			return
		}
		x.log.Warn("the calls of before the restart are not known yet", "err", err)
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, longWait)
	}
}

// reclaim ends one call of before.
func (x *Exchange) reclaim(c telephony.CallChange) {
	if _, here := x.tables.calls.get(c.Record.ID); here {
		return // it began since
	}
	if r := &c.Record; r.Node != x.cfg.Node {
		r.Node, r.Epoch = x.cfg.Node, r.Epoch+1
	}
	if c.State == "" { // it was ringing: its callers have given up by now
		x.closeLost(c.Record)
		return
	}
	call, err := encoding.Decode(c.State)
	if err != nil {
		x.log.Warn("a call of before the restart is closed without BYE", "call", string(c.Record.ID), "err", err)
		x.closeLost(c.Record)
		return
	}
	serial := x.serial.Add(1)
	w := x.workers[serial%uint64(len(x.workers))]
	call.Bind(x.cfg.Node, serial)
	call.Borrow(&w.spare)
	r := &running{worker: w, serial: serial, account: call.Account, call: call}
	x.begun(r)
	x.register(r)
	r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Lost{Cause: lost}}})
}

// closeLost ends a call of before that nobody can hang up.
func (x *Exchange) closeLost(r telephony.CallRecord) {
	r = closed(r, x.now(), lost)
	x.history.add(telephony.CallChange{Record: r})
	x.noteLost(r)
}

// noteLost tells both users of a call that was lost.
func (x *Exchange) noteLost(r telephony.CallRecord) {
	x.note(r.Account, r.Caller, "A call to "+r.Dialled+" failed.", r.Cause)
	if called := called(r); called != r.Caller {
		x.note(r.Account, called, "A call from "+r.Caller.String()+" failed.", r.Cause)
	}
}

// called is whose phone rang last; zero when none did.
func called(r telephony.CallRecord) telephony.AoR {
	for i := len(r.Legs) - 1; i >= 0; i-- {
		if r.Legs[i].Leg > 1 { // the first is the caller's
			return r.Legs[i].AoR
		}
	}
	return telephony.AoR{}
}

// closed is the record of a call that ended with its node.
func closed(r telephony.CallRecord, at time.Time, why telephony.Cause) telephony.CallRecord {
	r.State, r.EndedAt, r.Cause = telephony.CallEnded, at, why
	for i := range r.Legs {
		if r.Legs[i].EndedAt.IsZero() {
			r.Legs[i].EndedAt, r.Legs[i].Cause = at, why
		}
	}
	return r
}
