package softphone

import (
	"context"
	"math/rand/v2"
	"time"
)

// Retry says how patient a phone is. The zero value of each field takes the default; tests and demonstrations shorten
// them.
type Retry struct {
	Quick   time.Duration // upper bound of the wait after losing a connection that stood; default 2 s
	Base    time.Duration // base of the back-off when every address failed; default 30 s
	Max     time.Duration // upper bound of the back-off; default 30 min
	Pending time.Duration // between questions for a credential that is not there yet, at most; default 1 min
	Recheck time.Duration // between questions whether the credential in use still stands, at least; default 1 h
	Return  time.Duration // between looks whether a better address answers again; default 5 min
	Answer  time.Duration // for one address: connecting, and then each answer; default 10 s
}

func (r Retry) withDefaults() Retry {
	def := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	def(&r.Quick, 2*time.Second)
	def(&r.Base, 30*time.Second)
	def(&r.Max, 30*time.Minute)
	def(&r.Pending, time.Minute)
	def(&r.Recheck, time.Hour)
	def(&r.Return, 5*time.Minute)
	def(&r.Answer, 10*time.Second)
	return r
}

// wait returns the pause after so many failed rounds in a row (RFC 5626 §4.5): at random between half and the whole of
// min(max, base × 2^failures), so that phones that lost their PBX together do not come back together. With no failure,
// after a connection that stood broke, it is anything up to Quick.
func (r Retry) wait(failures int) time.Duration {
	if failures <= 0 {
		return rand.N(r.Quick) + 1
	}
	bound := r.Max
	if failures < 16 && r.Base<<failures < r.Max {
		bound = r.Base << failures
	}
	return between(bound/2, bound)
}

// between returns a random duration in [low, high].
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low+1)
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
