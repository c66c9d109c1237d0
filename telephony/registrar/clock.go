package registrar

import "time"

// A shard has a time of its own: that of the wall clock when the process began, and what has passed since by a clock that nobody sets.
// When the wall clock is set, by hand or because a machine began its life in 1970, the shard's time follows at the beginning of a turn,
// and with it go the times of the node's own bindings: a phone that registered for an hour is registered for an hour.

// leap is how far the wall clock and a shard's may be apart. What a clock is slowed or hastened by to come right is far less.
const leap = 2 * time.Second

// now is the shard's time. Whoever asks holds working or mu.
func (s *shard) now() time.Time { return s.r.began.Add(s.r.elapsed() + s.ahead) }

// followClock lets the shard's time be that of the wall clock again, if that was set.
func (s *shard) followClock() {
	by := s.r.now().Round(0).Sub(s.now())
	if by.Abs() < leap {
		return
	}
	s.mu.Lock()
	s.ahead += by
	s.locations.Move(s.r.node, by)
	s.mu.Unlock()
	if s == s.r.shards[0] {
		s.r.log.Warn("the clock was set: registrations last as long as they would have", "by", by.Round(time.Second))
	}
}
