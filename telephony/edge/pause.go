package edge

import (
	"time"

	"demarc/telephony/registrar"
)

// wrongPause is how long after it came a wrong answer to a challenge is refused: longer than finding out takes, so that the time
// of the refusal does not tell whether there is such a user or domain.
const wrongPause = 20 * time.Millisecond

// refusing writes a reply now, or when the pause since its request came is over, if its sender was wrong. What is to be learned
// of the sender must have been: the next guess does not wait.
func (e *Edge) refusing(sender registrar.Sender, came time.Time, write func()) {
	wait := wrongPause - time.Since(came)
	if sender != registrar.Wrong || wait <= 0 {
		write()
		return
	}
	time.AfterFunc(wait, func() {
		defer e.recovered("refusal")
		write()
	})
}
