package registrar

import (
	"time"

	"demarc/telephony"
)

const (
	maxGuessed = 4096             // users of whom it is known when they were told last
	guessPause = 10 * time.Minute // between two rows about one user, from however many addresses somebody guesses
)

// GuessesSpent tells the timeline of a user that an address has answered wrongly for them so often that it is not heard for a while, as
// fault says: it may be a phone of theirs, which from then on gets no answer at all. Nobody is told of a name that is not in the directory. The
// texts of aor may be borrowed.
func (r *Registrar) GuessesSpent(f telephony.Flow, aor telephony.AoR, fault string) {
	s, sure := r.senders.SubscriberAtOnce(aor) // the directory was asked about the wrong answer just now
	if !sure || s.Account == "" {
		return
	}
	now, due := r.now(), false
	r.guessed.Update(s.AoR, func(last time.Time, _ bool) time.Time {
		if passed := now.Sub(last); passed < 0 || passed >= guessPause {
			last, due = now, true
		}
		return last
	})
	if !due {
		return
	}
	from := f.Remote.Addr().String()
	r.shard(s.AoR).queue.tell(telephony.RegistrationChange{
		Account: s.Account, At: now, Kind: telephony.GuessesSpent, AoR: s.AoR, Transport: f.Transport, Remote: f.RemoteText(),
		Text: "requests from " + from + " get no answer for a while: " + fault + ". If it is a phone of this user, correct its password there, or " +
			"let it fetch its credential again: it is heard within that time. If nobody knows that address, somebody is trying passwords; phones that " +
			"have signed in before are served all the same.",
	})
}
