package lamps

import (
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
)

// Question is what a node asks another one, in one of two ways: to name what it watches, which is answered at once, or to wait for news of it.
type Question struct {
	Node    string          `json:"node"`    // that asks
	Session string          `json:"session"` // a new name whenever it begins anew
	Begin   bool            `json:"begin,omitempty"`
	Wait    bool            `json:"wait,omitempty"`
	Watch   []Extension     `json:"watch,omitempty"`
	Unwatch []telephony.AoR `json:"unwatch,omitempty"`
}

// Extension is who is watched.
type Extension struct {
	Account account.ID    `json:"account"`
	AoR     telephony.AoR `json:"aor"`
}

// Answer is what comes back.
type Answer struct {
	Unknown bool    `json:"unknown,omitempty"` // the session has ended: it is to be begun anew
	States  []State `json:"states,omitempty"`
}

// State is all dialogs that an extension has at the node.
type State struct {
	AoR     telephony.AoR   `json:"aor"`
	Dialogs []events.Dialog `json:"dialogs,omitempty"`
}

// What one message between nodes holds, of the 64 KiB that it may have.
const (
	maxNamed   = 64       // extensions of one question, each of half a kilobyte at most
	maxTold    = 40 << 10 // bytes of one answer, and one state beyond that
	maxDialogs = 32       // of one extension
)

// maxWatched is how many extensions one node may watch: as many as it may have subscriptions.
const maxWatched = 50_000
