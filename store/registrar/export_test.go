package registrar

import "time"

// PollEvery sets how often the feed is read without a hint; before Run.
func (p *Peers) PollEvery(d time.Duration) { p.poll = d }
