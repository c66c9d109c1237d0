package access_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/access"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func limits(c *clock) access.GuessConfig {
	return access.GuessConfig{
		PerSource: 3, Refill: time.Minute, Total: 5, TotalFill: time.Second, Sources: 4, Now: c.Now,
	}
}

func TestGuessesPerSource(t *testing.T) {
	c := newClock()
	g := access.NewGuesses(limits(c))
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range 3 {
		if ok, _ := g.Take(a); !ok {
			t.Fatalf("try %d refused", i)
		}
	}
	ok, wait := g.Take(a)
	if ok || wait <= 0 || wait > time.Minute {
		t.Fatalf("fourth try: %v, wait %v", ok, wait)
	}
	if ok, _ := g.Take(b); !ok {
		t.Fatal("another source was held for it")
	}
	c.add(wait)
	if ok, _ := g.Take(a); !ok {
		t.Fatal("still refused after the wait that was told")
	}
}

func TestGuessesCountAnIPv6SubscriberOnce(t *testing.T) {
	g := access.NewGuesses(limits(newClock()))
	for _, s := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"} {
		if ok, _ := g.Take(netip.MustParseAddr(s)); !ok {
			t.Fatalf("%s refused", s)
		}
	}
	if ok, _ := g.Take(netip.MustParseAddr("2001:db8::9")); ok {
		t.Fatal("the /64 got more tries than one source may have")
	}
	if n := g.Remembered(); n != 1 {
		t.Fatalf("%d sources remembered", n)
	}
	if ok, _ := g.Take(netip.MustParseAddr("::ffff:192.0.2.1")); !ok {
		t.Fatal("a mapped IPv4 address was counted with the /64")
	}
}

func TestGuessesInTotalAndBoundedMemory(t *testing.T) {
	g := access.NewGuesses(limits(newClock()))
	allowed := 0
	for i := range 100 {
		if ok, _ := g.Take(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})); ok {
			allowed++
		}
	}
	if allowed != 5 {
		t.Errorf("%d tries of 100 sources, want 5", allowed)
	}
	if n := g.Remembered(); n != 4 {
		t.Errorf("%d sources remembered, want 4", n)
	}
}

func TestGuessesRefundNeverExceedsTheBound(t *testing.T) {
	g := access.NewGuesses(limits(newClock()))
	a := netip.MustParseAddr("192.0.2.1")
	for range 50 { // right codes: an office behind one address
		if ok, _ := g.Take(a); !ok {
			t.Fatal("a right code cost a try")
		}
		g.Refund(a)
	}
	for range 10 {
		g.Refund(a)
	}
	var allowed atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if ok, _ := g.Take(a); ok {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 3 {
		t.Errorf("%d tries at once, want 3", n)
	}
}
