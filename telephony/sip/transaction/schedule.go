package transaction

import (
	"time"

	"demarc/internal/wheel"
)

// schedule is when a transaction sends again and when it ends; one timer on the wheel serves both. Times are the wheel's,
// zero is never. Its transaction's lock guards it.
//
// The wheel is left alone where the timer fires early enough as it is: whoever is fired too early sets it again. Most of what is waited
// for does not come true, and a transaction that is over is used again at once, so that there is little to set.
type schedule struct {
	wheel    *wheel.Wheel
	timer    wheel.Timer
	fires    time.Duration // when the timer does
	interval time.Duration // until the next time it sends
	resend   time.Duration
	end      time.Duration
}

// repeat lets the transaction send again after the interval.
func (s *schedule) repeat(interval time.Duration) {
	s.interval, s.resend = interval, s.wheel.Now()+interval
	s.set()
}

// repeated notes that it sent again, and when it will the next time: late ticks do not add up.
func (s *schedule) repeated(interval time.Duration) {
	s.interval, s.resend = interval, s.resend+interval
	s.set()
}

// endAfter lets the transaction end, and not send before.
func (s *schedule) endAfter(d time.Duration) {
	s.resend, s.end = 0, s.wheel.Now()+d
	s.set()
}

// clear stops both.
func (s *schedule) clear() {
	s.resend, s.end = 0, 0
	s.set()
}

// ended reports whether the end has come; mustSend whether it is time to send again.
func (s *schedule) ended(now time.Duration) bool    { return s.end > 0 && now >= s.end }
func (s *schedule) mustSend(now time.Duration) bool { return s.resend > 0 && now >= s.resend }

func (s *schedule) set() {
	next := s.end
	if s.resend > 0 && (next == 0 || s.resend < next) {
		next = s.resend
	}
	if next == 0 || s.fires > 0 && s.fires <= next {
		return
	}
	s.fires = next
	s.wheel.SetAt(&s.timer, next)
}

// fired notes that the timer has fired, whatever for, and returns the time.
func (s *schedule) fired() time.Duration {
	s.fires = 0
	return s.wheel.Now()
}

// reset forgets both.
func (s *schedule) reset() { s.interval, s.resend, s.end = 0, 0, 0 }
