package callswitch

import (
	"strings"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// cancelled takes a CANCEL.
func (t *turn) cancelled(l *Leg, c *signal.Cancel) {
	if l.State == states.Calling || l.State == states.Early {
		cause := cancelCause(c.Reason)
		t.finish(l, cause, states.Refuse)
		t.without(l, cause)
		return
	}
	tx := l.Invite.Theirs
	l.Invite.Theirs = 0
	t.offerRefused(l)
	t.reply(l, signal.Reply{Tx: tx, Status: 487})
}

// cancelledLate takes a CANCEL of an INVITE that we have answered. Where provisional responses are reliable the 2xx may not be out yet (RFC 3262 §3), and
// never be: who has answered must not talk to nobody until the PRACK is given up. If it has crossed the CANCEL, the caller ends what it has made anyway
// (RFC 3261 §9.1).
func (t *turn) cancelledLate(l *Leg, c *signal.Cancel) {
	if !l.Invite.Reliable || !l.open() {
		return
	}
	cause := cancelCause(c.Reason)
	t.finish(l, cause, states.Hang)
	t.without(l, cause)
}

// cancelCause says why a caller gave up. A proxy before us may have rung others, one of whom has answered.
func cancelCause(reason string) telephony.Cause {
	cause := telephony.Cause{Who: telephony.Caller, Code: 487, Text: "The caller hung up before anybody answered."}
	if completed(reason) {
		cause.Code, cause.Text = 200, elsewhere
	} else if reason != "" {
		cause.Text += " (" + words(reason) + ")"
	}
	return cause
}

// completed reports whether a Reason of a CANCEL says that the call was answered (RFC 3326 §3.1).
func completed(reason string) bool {
	for value := range strings.SplitSeq(reason, ",") {
		protocol, params, _ := strings.Cut(value, ";")
		if !strings.EqualFold(strings.TrimSpace(protocol), "SIP") {
			continue
		}
		for param := range strings.SplitSeq(params, ";") {
			name, code, _ := strings.Cut(param, "=")
			if strings.EqualFold(strings.TrimSpace(name), "cause") && strings.TrimSpace(code) == "200" {
				return true
			}
		}
	}
	return false
}
