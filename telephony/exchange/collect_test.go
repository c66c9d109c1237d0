package exchange_test

import (
	"testing"
	"time"

	"demarc/telephony/signal"
)

// A worker that sleeps while others collect is woken by the last of them, whenever what it is to do came.
func TestWhatWasCollectedIsDone(t *testing.T) {
	l := shortest(t)
	for n := range 2000 {
		go func() {
			l.x.Collect()
			l.x.Work()
		}()
		l.x.Collect()
		l.n++
		if !l.x.Take(l.request(signal.TxID(2*n+2), "INVITE", "sip:1002@acme.example", 1)) {
			t.Fatal("not taken")
		}
		l.x.Work()
		select {
		case <-l.hung:
		case <-time.After(20 * time.Second):
			t.Fatalf("call %d was never made: %+v", n, l.x.Counters())
		}
	}
}

// What comes while somebody collects waits for his Work, and no longer.
func TestACollectionIsAllThatIsWaitedFor(t *testing.T) {
	l := shortest(t)
	l.x.Collect()
	l.n++
	if !l.x.Take(l.request(1, "INVITE", "sip:1002@acme.example", 1)) {
		t.Fatal("not taken")
	}
	if c := l.x.Counters(); c.Answered != 0 {
		t.Errorf("a call was answered before anybody was to work: %+v", c)
	}
	l.x.Work()
	select {
	case <-l.hung:
	case <-time.After(20 * time.Second):
		t.Fatalf("the call was never made: %+v", l.x.Counters())
	}
}
