package exchange

import (
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Habits are what an exchange knows of phones.
type Habits struct{ habits }

// MaxHabits is how many phones each half holds.
const MaxHabits = maxHabits

// Learn keeps how a phone has offered.
func (h *Habits) Learn(w signal.Way, s sdp.Security) { h.learn(w, s) }

// Of returns how the phone last offered.
func (h *Habits) Of(w signal.Way) sdp.Security { return h.of(w) }

// Len counts the phones.
func (h *Habits) Len() int { return len(h.fresh) + len(h.old) }
