package encoding

import (
	"fmt"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// version is that of the encoding: it rises with every change of it, and older ones stay readable.
//
//	2  how often re-INVITEs were put off, in the place of the number of the last reliable response; ICE credentials by line, what later
//	   ones are made of, and ours in what was agreed
//	3  to which of our addresses a way leads
//	4  what further phones behind one target have answered; when an INVITE expires, and a session; since when a phone has
//	   had no way
const version = 4

// Encode returns the call's state: all of it but what belongs to one process (transaction numbers). It holds SRTP keys.
func Encode(call *callswitch.Call) account.Secret { return account.Secret(Append(nil, call)) }

// Append appends the call's state to a buffer.
func Append(b []byte, call *callswitch.Call) []byte {
	c := coder{b: b, version: version}
	integer(&c, &c.version)
	codeCall(&c, call)
	return c.b
}

// Decode returns a call from its state. Bind it to the process before the first step.
func Decode(state account.Secret) (*callswitch.Call, error) {
	c := coder{b: []byte(state.Reveal()), reading: true}
	integer(&c, &c.version)
	if c.err == nil && (c.version < 1 || c.version > version) {
		return nil, fmt.Errorf("%w: version %d is not known here", ErrState, c.version)
	}
	call := new(callswitch.Call)
	codeCall(&c, call)
	if c.err == nil && len(c.b) > 0 {
		c.fail("something follows its end")
	}
	if c.err != nil {
		return nil, c.err
	}
	return call, nil
}

func codeCall(c *coder, v *callswitch.Call) {
	text(c, &v.Account)
	text(c, &v.ID)
	text(c, &v.Node)
	integer(c, &v.Epoch)
	integer(c, &v.State)
	codeAoR(c, &v.Asked.Caller)
	text(c, &v.Asked.Name)
	text(c, &v.Asked.Dialled)
	integer(c, &v.Asked.Depth)
	integer(c, &v.Asked.Hops)
	list(c, &v.Asked.Headers, func(c *coder, h *telephony.Header) { text(c, &h.Name); text(c, &h.Value) })
	when(c, &v.Times.Started)
	when(c, &v.Times.Answered)
	when(c, &v.Times.Ended)
	codeCause(c, &v.Cause)
	optional(c, &v.Attempt, codeAttempt)
	list(c, &v.Legs, func(c *coder, l **callswitch.Leg) {
		if c.reading {
			*l = new(callswitch.Leg)
		}
		codeLeg(c, *l)
	})
	integer(c, &v.LastLeg)
	flag(c, &v.Recorded)
	if c.reading && (v.State > states.Ended || v.LastLeg < len(v.Legs)) {
		c.fail("the state of a call")
	}
}

func codeAoR(c *coder, v *telephony.AoR) {
	text(c, &v.User)
	text(c, &v.Domain)
}

func codeCause(c *coder, v *telephony.Cause) {
	text(c, &v.Who)
	integer(c, &v.Code)
	text(c, &v.Text)
}

func codeAttempt(c *coder, v *callswitch.Attempt) {
	integer(c, &v.For)
	codeAoR(c, &v.By)
	integer(c, &v.Report)
	codeAoR(c, &v.Callee)
	list(c, &v.Waiting, codeTarget)
	list(c, &v.Asleep, codeTarget)
	when(c, &v.Until)
	codeCause(c, &v.Best.Cause)
	integer(c, &v.Best.RetryAfter)
	integer(c, &v.Depth)
	flag(c, &v.Asking)
}

func codeTarget(c *coder, v *signal.Target) {
	text(c, &v.URI)
	integer(c, &v.Q)
	list(c, &v.Ways, codeWay)
	text(c, &v.Name)
}

func codeWay(c *coder, v *signal.Way) {
	text(c, &v.Node)
	integer(c, &v.Flow.ID)
	text(c, &v.Flow.Listener)
	text(c, &v.Flow.Transport)
	addrPort(c, &v.Flow.Remote)
	if c.since(3) {
		addr(c, &v.Flow.Local)
	}
	codeAoR(c, &v.AoR)
	text(c, &v.Instance)
	text(c, &v.Contact)
	text(c, &v.Path)
	text(c, &v.Trunk)
}

func codeLeg(c *coder, v *callswitch.Leg) {
	integer(c, &v.ID)
	flag(c, &v.Ours)
	integer(c, &v.State)
	codeAoR(c, &v.Who.AoR)
	text(c, &v.Who.Name)
	codeAllow(c, &v.Who.Allow)
	codeDialog(c, &v.Dialog)
	codeWay(c, &v.Way)
	list(c, &v.Ways, codeWay)
	if c.since(4) {
		list(c, &v.Forks, codeFork)
	}
	codeInvite(c, &v.Invite)
	codeSession(c, &v.Session)
	codeTimer(c, &v.Timer)
	when(c, &v.Since.Started)
	when(c, &v.Since.Answered)
	when(c, &v.Since.Ended)
	codeCause(c, &v.Cause)
	codeReport(c, &v.Media)
	codePart(c, &v.Part)
	if c.reading && v.State > states.Terminated {
		c.fail("the state of a dialog")
	}
}

func codeFork(c *coder, v *callswitch.Fork) {
	text(c, &v.Tag)
	text(c, &v.Answer)
}

func codeAllow(c *coder, v *callswitch.Allow) {
	flag(c, &v.Update)
	flag(c, &v.Info)
	flag(c, &v.Timer)
	flag(c, &v.Reliable)
}

func codeDialog(c *coder, v *callswitch.Dialog) {
	text(c, &v.CallID)
	text(c, &v.LocalTag)
	text(c, &v.RemoteTag)
	text(c, &v.Local)
	text(c, &v.Remote)
	integer(c, &v.LocalSeq)
	integer(c, &v.RemoteSeq)
	list(c, &v.Routes, text[string])
	text(c, &v.Target)
	text(c, &v.Contact)
}

func codeInvite(c *coder, v *callswitch.Invite) {
	integer(c, &v.Theirs)
	integer(c, &v.Last)
	integer(c, &v.Ours)
	integer(c, &v.Seq)
	if c.since(4) {
		when(c, &v.Expires)
		when(c, &v.Away)
	}
	when(c, &v.Retry)
	flag(c, &v.Reliable)
	flag(c, &v.Insists)
	integer(c, &v.PutOff)
	if !c.since(2) {
		v.PutOff = 0
	}
	flag(c, &v.Changed)
	flag(c, &v.Offered)
}

func codeTimer(c *coder, v *callswitch.SessionTimer) {
	integer(c, &v.Every)
	integer(c, &v.MinSE)
	flag(c, &v.We)
	when(c, &v.Due)
	if c.since(4) {
		when(c, &v.Ends)
	}
	flag(c, &v.Update)
}

func codePart(c *coder, v *callswitch.Part) {
	flag(c, &v.Aside)
	when(c, &v.LeaveBy)
	integer(c, &v.Refer.Seq)
	flag(c, &v.Refer.Open)
	text(c, &v.Into.Call)
	integer(c, &v.Into.Leg)
	flag(c, &v.Into.Place)
	codeAoR(c, &v.Into.By)
	text(c, &v.Into.Named.CallID)
	text(c, &v.Into.Named.OurTag)
	text(c, &v.Into.Named.TheirTag)
	flag(c, &v.Into.Named.EarlyOnly)
	flag(c, &v.Moving)
	integer(c, &v.Asker)
}

func codeReport(c *coder, v *telephony.MediaReport) {
	integer(c, &v.Sent)
	integer(c, &v.Received)
	integer(c, &v.Lost)
	integer(c, &v.LostThere)
	integer(c, &v.Jitter)
	integer(c, &v.JitterThere)
	integer(c, &v.RoundTrip)
	integer(c, &v.Refused)
	text(c, &v.Security)
	text(c, &v.Suite)
	text(c, &v.Codec)
}
