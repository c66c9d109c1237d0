package exchange

import (
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/signal"
)

// note writes into a user's timeline what failed, and why.
func (x *Exchange) note(id account.ID, aor telephony.AoR, text string, cause telephony.Cause) {
	if x.ports.Timeline == nil || aor.IsZero() {
		return
	}
	x.ports.Timeline.Note(aor, timeline.Entry{Account: id, At: x.now(), Kind: timeline.CallFailed, Code: cause.Code,
		Text: text + " " + cause.Text, Actor: string(cause.Who)})
}

// Refusals of a full node are told so often, and no more: they come by the thousand when they come.
const toldPerSecond, toldAtOnce = 20, 100

// turnedAway tells a caller's timeline of an INVITE that never became a call.
func (x *Exchange) turnedAway(r *signal.Request, code int, text string) {
	if x.told.Allow() {
		x.note(r.Account, r.User, "A call to "+r.URI+" failed.", telephony.Cause{Who: telephony.Switch, Code: code, Text: text})
	}
}

const (
	fullText     = "This server has all the calls that it can carry: it answers 503 until some have ended."
	misnamedText = "The call that was to be taken over or joined is named in a way that cannot be read (Replaces, Join)."
	goneText     = "The call that was to be taken over or joined has ended, or is none of yours."
)
