package callswitch

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// Abandon ends a call whose state cannot be trusted any more, because a step has panicked: each dialog gets what ends it,
// whatever the tables say. The call's Record is that of its end.
func Abandon(call *Call, at time.Time, commands []Command) []Command {
	cause := telephony.Cause{Who: telephony.Switch, Code: 500, Text: "An error inside the switch has ended the call: report it."}
	call.borrowed()
	t := turn{Call: call, at: at, out: commands}
	call.State, call.Recorded, call.Attempt = states.Closing, true, nil
	if call.Cause.Code == 0 {
		call.Cause, call.Times.Ended = cause, at
		t.noteFailure(cause)
	}
	for _, l := range call.Legs {
		if l.open() {
			l.Cause, l.Since.Ended = cause, at
		}
		if l.Session.Media != 0 {
			t.do(t.spare.closes.put(Close{Leg: l.ID, Media: l.Session.Media}))
		}
		if tx := l.Invite.Theirs; tx != 0 {
			t.reply(l, signal.Reply{Tx: tx, Status: 500})
		}
		switch l.State {
		case states.Calling, states.Early:
			if l.Invite.Ours != 0 {
				t.do(Cancel{Leg: l.ID, Tx: l.Invite.Ours, Reason: l.reason(cause)})
			}
		case states.Answered, states.Confirmed, states.Leaving:
			t.bye(l)
		}
		l.State = states.Terminated
	}
	return t.out
}

// TakeBack ends a dialog that a 2xx has made whose call is over: another phone behind the same target has answered too late (RFC 3261
// §13.2.2.4). serial names the transaction of the BYE, whose response nobody waits for. Whose To cannot be read gives up by itself.
func TakeBack(r *signal.Response, serial uint64) []Command {
	if r.To == "" {
		return nil
	}
	t := turn{Call: &Call{serials: serials{serial: serial}}}
	t.borrowed()
	_, leg, _ := Serial(r.Tx)
	l := &Leg{ID: leg, Ours: true, Way: r.Way, Cause: telephony.Cause{Who: telephony.Switch, Code: 200, Text: elsewhere}}
	l.Dialog = Dialog{CallID: r.CallID, LocalTag: r.FromTag, Local: withoutTag(r.From, r.FromTag), Remote: withoutTag(r.To, r.ToTag),
		LocalSeq: r.CSeq, Target: address(r.To)}
	l.dialogFrom(r)
	l.Invite.Seq, l.Invite.Ours = r.CSeq, r.Tx
	t.ack(l)
	t.bye(l)
	return t.out
}

// TakeLeave sends BYE in each dialog of a call that stood when its state was written, for a node that does not go on with it. Nobody waits
// for the responses.
func TakeLeave(call *Call, cause telephony.Cause) []Command {
	call.borrowed()
	t := turn{Call: call}
	for _, l := range call.Legs {
		if l.State == states.Confirmed {
			l.Cause, l.State = cause, states.Terminated
			t.bye(l)
		}
	}
	return t.out
}

// Ignores reports whether no leg of the call knows of an INVITE that came in.
func (c *Call) Ignores(tx signal.TxID) bool {
	for _, l := range c.Legs {
		if l.Invite.Theirs == tx || l.Invite.Last == tx {
			return false
		}
	}
	return true
}
