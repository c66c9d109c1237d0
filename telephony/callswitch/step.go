package callswitch

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// turn is one step under way.
type turn struct {
	*Call
	at     time.Time
	chance uint32
	wanted telephony.AoR // who was to be called when nobody was reached
	out    []Command
}

// Step lets an event happen to the call, and appends what is to be done to commands. They hold until the Spare is cleared that the
// call borrows from. Nothing happens to a call that has ended.
func Step(call *Call, e Event, commands []Command) []Command {
	if call.State == states.Ended {
		return commands
	}
	call.borrowed()
	t := turn{Call: call, at: e.At, chance: e.Chance, out: commands}
	if e.Signal != nil {
		t.signalled(e.Signal, e.Leg)
	} else {
		t.happened(e.Fact)
	}
	t.reconcile()
	t.conclude()
	return t.out
}

func (t *turn) do(c Command) { t.out = append(t.out, c) }

func (t *turn) signalled(e signal.Event, leg int) {
	switch e := e.(type) {
	case *signal.Request:
		if l := t.Leg(leg); l != nil {
			t.request(l, e)
		} else if len(t.Legs) == 0 {
			t.arrive(e)
		} else {
			t.do(t.spare.replies.put(Reply{Reply: signal.Reply{Tx: e.Tx, Status: 481}}))
		}
	case *signal.Response:
		if _, leg, _ := Serial(e.Tx); t.Leg(leg) != nil {
			t.response(t.Leg(leg), e)
		}
	case *signal.Cancel:
		if l := t.server(e.Tx); l != nil {
			t.cancelled(l, e)
		} else if l := t.unacked(e.Tx); l != nil {
			t.cancelledLate(l, e)
		}
	case *signal.Ack:
		if l := t.unacked(e.Tx); l != nil {
			t.acked(l, e.Body)
		}
	case *signal.AckMissing:
		if l := t.unacked(e.Tx); l != nil {
			t.ackMissing(l)
		}
	case *signal.Pracked:
		if e.Missing {
			t.prackMissing(e.Tx)
		}
	}
}

func (t *turn) happened(f Fact) {
	switch f := f.(type) {
	case *Prepared:
		t.prepared(f)
	case *Routed:
		t.routed(f)
	case Woken:
		t.woken(f)
	case Tick:
		t.tick()
	case Hangup:
		t.hangup(f)
	case Transfer:
		t.transfer(f)
	case Merge:
		t.merge(f)
	case Adopt:
		t.adopt(f)
	case Adopted:
		t.adopted(f)
	case Replacing:
		t.replacing(f)
	case Noticed:
		t.noticed(f)
	case *Reported:
		if l := t.Leg(f.Leg); l != nil {
			l.Media, l.Session.Media = f.Report, 0
		}
	case Lost:
		t.close(f.Cause)
	}
}

// server returns the leg that has this server transaction without a final response.
func (t *turn) server(tx signal.TxID) *Leg {
	for _, l := range t.Legs {
		if l.Invite.Theirs == tx && tx != 0 {
			return l
		}
	}
	return nil
}

// unacked returns the leg whose 2xx in this transaction waits for its ACK.
func (t *turn) unacked(tx signal.TxID) *Leg {
	for _, l := range t.Legs {
		if l.Invite.Last == tx && tx != 0 {
			return l
		}
	}
	return nil
}

// conclude writes the end of the history when the media of every leg has reported, and ends the call with its last dialog.
func (t *turn) conclude() {
	if t.State != states.Closing {
		return
	}
	over := true
	for _, l := range t.Legs {
		if l.Session.Media != 0 {
			return
		}
		over = over && l.State == states.Terminated && l.Invite.Ours == 0 // a 2xx to a re-INVITE still gets its ACK
		if l.Invite.Reliable && l.Invite.Last != 0 {
			over = false // its 2xx may still wait for a PRACK, and be thrown away
		}
	}
	if !t.Recorded {
		t.Recorded = true
		t.do(Record{End: true})
	}
	if over {
		t.State = states.NextCall(t.State, states.Settled)
	}
}
