package wheel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"demarc/internal/wheel"
)

func TestWheelFiresInTimeAndNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New(500 * time.Millisecond)
		defer w.Close()
		fired := make(map[time.Duration]time.Duration)
		for _, d := range []time.Duration{0, time.Millisecond, 9 * time.Millisecond, 500 * time.Millisecond, 4 * time.Second,
			10239 * time.Millisecond, 10240 * time.Millisecond, 32 * time.Second, 3 * time.Minute} {
			w.Set(&wheel.Timer{Owner: firing(func() { fired[d] = w.Now() })}, d)
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if len(fired) != 9 {
			t.Fatalf("%d of 9 fired: %v", len(fired), fired)
		}
		for d, at := range fired {
			if at < d || at > d+20*time.Millisecond {
				t.Errorf("%s fired at %s", d, at)
			}
		}
		if w.Armed() != 0 {
			t.Errorf("%d are left", w.Armed())
		}
	})
}

func TestWheelForgetsWhatWasStoppedAndMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New(500 * time.Millisecond)
		defer w.Close()
		fired := make(chan string, 9) // looked at while others may still fire
		named := func(name string) *wheel.Timer { return &wheel.Timer{Owner: firing(func() { fired <- name })} }
		one, two, three := named("one"), named("two"), named("three")
		w.Set(one, time.Second)
		w.Set(two, time.Second)
		w.Set(three, time.Second)
		w.Stop(two)
		w.Stop(two)
		w.Set(one, 3*time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(fired) != 1 || <-fired != "three" {
			t.Error("not only what was left fired")
		}
		time.Sleep(time.Minute) // nothing is set for a while: the clock stands, and starts again
		w.Set(two, time.Second)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if len(fired) != 2 || <-fired != "one" || <-fired != "two" {
			t.Error("what was set later did not fire in its order")
		}
	})
}

func TestWheelOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New(500 * time.Millisecond)
		defer w.Close()
		var faults []any
		fired := false
		w.Fault = func(v any) { faults = append(faults, v) }
		w.Set(&wheel.Timer{Owner: firing(func() { panic("injected") })}, time.Second)
		w.Set(&wheel.Timer{Owner: firing(func() { fired = true })}, time.Second)
		w.Set(&wheel.Timer{Owner: firing(func() { fired = fired && true })}, 2*time.Second)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(faults) != 1 || !fired || w.Armed() != 0 {
			t.Errorf("faults %v, fired %v, armed %d", faults, fired, w.Armed())
		}
	})
}

// Nothing fires after Close.
func TestWheelCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New(500 * time.Millisecond)
		fired := false
		timer := &wheel.Timer{Owner: firing(func() { fired = true })}
		w.Set(timer, time.Second)
		w.Close()
		w.Set(timer, time.Second)
		time.Sleep(time.Minute)
		synctest.Wait()
		if fired {
			t.Error("a timer fired")
		}
	})
}

func BenchmarkWheel(b *testing.B) {
	w := wheel.New(500 * time.Millisecond)
	defer w.Close()
	timer := &wheel.Timer{Owner: firing(func() {})}
	for b.Loop() {
		w.Set(timer, 500*time.Millisecond)
		w.Set(timer, 32*time.Second)
		w.Stop(timer)
	}
}

// firing is a function as the owner of a timer.
type firing func()

func (f firing) Fire() { f() }
