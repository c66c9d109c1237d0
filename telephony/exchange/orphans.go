package exchange

import (
	"cmp"
	"context"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/encoding"
)

// A node that comes back ends the calls that it had. One that never does would leave them open in history for ever: those who are
// left end them, once it has said nothing for a long time. Whoever ends a call first has ended it
// (docs/adr/0028-calls-of-a-node-that-is-gone.md).

const (
	lostAfter   = 15 * time.Minute
	lostLooks   = 20 // that find the same sign: a process that stood still itself has not looked meanwhile
	lostAtOnce  = 500
	lostPatient = 10 * time.Second // for one transaction
)

// leave is what phones are told, who need not know the names of nodes.
var leave = telephony.Cause{Who: telephony.Network, Code: 500, Text: "node lost: the server that had the call has not come back"}

// holder is a node with calls that have not ended, as it was seen last.
type holder struct {
	sign  int64
	looks int // that found no other sign
}

// watchHolders looks after the nodes that have calls, until the context ends.
func (x *Exchange) watchHolders(ctx context.Context) {
	seen := make(map[string]holder)
	for pause(ctx, cmp.Or(x.cfg.Lost, lostAfter)/lostLooks) {
		after, err := x.lookAtHolders(ctx, seen)
		if err != nil && ctx.Err() == nil {
			x.log.Warn("it is not known which nodes have calls, and is asked again", "err", err)
		}
		seen = after // nothing after an error: while the store cannot be asked nobody's time runs
	}
}

// lookAtHolders ends the calls of nodes that have been silent for too long, and returns what it saw of the others.
func (x *Exchange) lookAtHolders(ctx context.Context, before map[string]holder) (map[string]holder, error) {
	bounded, cancel := context.WithTimeout(ctx, lostPatient)
	defer cancel()
	signs, err := x.ports.Orphans.Holders(bounded)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]holder, len(signs))
	for node, sign := range signs {
		if node == x.cfg.Node {
			continue
		}
		h := holder{sign: sign}
		if old, known := before[node]; known && old.sign == sign {
			h.looks = old.looks + 1
		}
		if h.looks >= lostLooks {
			if err := x.endOrphans(ctx, node, sign); err != nil {
				return nil, err
			}
		}
		seen[node] = h
	}
	return seen, nil
}

// endOrphans ends the calls of a node, in transactions of bounded size.
func (x *Exchange) endOrphans(ctx context.Context, node string, sign int64) error {
	why := telephony.Cause{Who: telephony.Network, Code: 500, Text: "node lost: the server " + node + ", which had the call, has not come back"}
	end := func(r telephony.CallRecord) telephony.CallRecord { return closed(r, x.lastSeen(&r, sign), why) }
	ended := 0
	for {
		bounded, cancel := context.WithTimeout(ctx, lostPatient)
		calls, err := x.ports.Orphans.End(bounded, node, sign, lostAtOnce, end)
		cancel()
		for _, c := range calls {
			x.noteLost(c.Record)
			x.takeLeave(c)
		}
		ended += len(calls)
		x.count.orphans.Add(uint64(len(calls)))
		if err == nil && len(calls) > 0 {
			continue
		}
		if ended > 0 {
			x.log.Warn("a node has not come back, and the calls that it had are ended in history", "node", node, "calls", ended)
		}
		return err
	}
}

// lastSeen is when a call ended as far as anybody can tell: when its node last said that it is there, by the clock that the call's
// other times are of.
func (x *Exchange) lastSeen(r *telephony.CallRecord, sign int64) time.Time {
	if sign == 0 {
		return x.now()
	}
	at := time.UnixMilli(sign).UTC()
	for _, begun := range []time.Time{r.StartedAt, r.AnsweredAt} {
		if at.Before(begun) {
			at = begun
		}
	}
	return at
}

// takeLeave sends BYE to the phones of a call that was ended in history, as far as they have a way that is not the lost node's: their
// connection is at a node that is there, or they have registered there since. The call does not come to be here.
func (x *Exchange) takeLeave(c telephony.CallChange) {
	if c.State == "" { // it rang: who called has given up by now
		return
	}
	call, err := encoding.Decode(c.State)
	if err != nil {
		x.log.Warn("the phones of a call whose node is lost get no BYE", "call", string(c.Record.ID), "err", err)
		return
	}
	call.Bind(x.cfg.Node, x.serial.Add(1))
	for _, command := range callswitch.TakeLeave(call, leave) {
		if s, ok := command.(*callswitch.Send); ok {
			x.ports.Signalling.Send(s.Outgoing)
		}
	}
}
