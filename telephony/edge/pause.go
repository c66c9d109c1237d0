package edge

import (
	"math/rand/v2"
	"time"

	"demarc/telephony/registration"
)

// wrongPause is how long after it came a wrong answer to a challenge is refused, and up to wrongSpread more by chance: longer than
// finding out takes, so that the time of the refusal does not tell whether there is such a user or domain. Chance covers what the
// work for one and not for the other, such as the note in the user's timeline, does to the process at that moment.
const (
	wrongPause  = 20 * time.Millisecond
	wrongSpread = 5 * time.Millisecond
)

// refusing writes a reply now, or when the pause since its request came is over, if its sender was wrong. What is to be learned
// of the sender must have been: the next guess does not wait.
func (e *Edge) refusing(sender registration.Sender, came time.Time, write func()) {
	if sender != registration.Wrong {
		write()
		return
	}
	wait := wrongPause + rand.N(wrongSpread) - time.Since(came)
	time.AfterFunc(wait, func() {
		defer e.recovered("refusal")
		write()
	})
}
