package authentication

import (
	"sync"
	"time"
)

// repeats counts how often the same comes again within a minute, in bounded memory.
type repeats struct {
	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

const (
	repeatWindow = time.Minute
	maxRepeats   = 4096
)

// count returns how often the key has come within the window.
func (r *repeats) count(key string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || now.Sub(r.since) >= repeatWindow || len(r.seen) >= maxRepeats {
		r.seen, r.since = make(map[string]int), now
	}
	r.seen[key]++
	return r.seen[key]
}
