package transaction_test

import (
	"sync"
	"testing"

	"demarc/internal/wheel"
	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/sip/transaction"
)

// Many phones lose their connections at once: each call over one of them is told before its connection's end is done with,
// and no other call is.
func TestManyFlowsEndAtOnce(t *testing.T) {
	const flows = 2000
	r := &roads{open: make(map[uint64]*road)}
	w := wheel.New(sip.Timers{}.WithDefaults().T1)
	defer w.Close()
	var mu sync.Mutex
	told := make(map[signal.TxID]int)
	u := transaction.NewUAC(transaction.UACConfig{Wheel: w, Limit: flows, Ways: r, Failed: func(f transaction.Failure) {
		mu.Lock()
		defer mu.Unlock()
		if f.Status != 503 {
			t.Errorf("told %d", f.Status)
		}
		told[f.Tx]++
	}})
	defer u.Close()
	call := func(flow uint64) signal.TxID { return 1<<63 | signal.TxID(flow) }
	for id := range uint64(flows) {
		f := telephony.Flow{ID: id, Transport: telephony.TLS}
		r.open[id] = &road{flow: f}
		if err := u.Send(&signal.Outgoing{Tx: call(id), Method: "INVITE", URI: "sip:c@phone", Ways: []signal.Way{{Flow: f}}}); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for id := uint64(0); id < flows; id += 2 {
		all.Go(func() {
			r.shut(id)
			u.FlowGone(id)
			mu.Lock()
			defer mu.Unlock()
			if told[call(id)] != 1 {
				t.Errorf("the call over flow %d was told %d times when its end was done with", id, told[call(id)])
			}
		})
	}
	all.Wait()
	if len(told) != flows/2 {
		t.Errorf("%d calls were told of %d that ended", len(told), flows/2)
	}
	for id := uint64(1); id < flows; id += 2 {
		if got := u.State(call(id)); got != sip.Calling {
			t.Fatalf("the call over flow %d is %s", id, got)
		}
	}
}

// BenchmarkFlowsEnd ends connections from many places while 20,000 calls wait on others.
func BenchmarkFlowsEnd(b *testing.B) {
	r := &roads{open: map[uint64]*road{1: {flow: telephony.Flow{ID: 1, Transport: telephony.TLS}}}}
	w := wheel.New(sip.Timers{}.WithDefaults().T1)
	defer w.Close()
	u := transaction.NewUAC(transaction.UACConfig{Wheel: w, Limit: 20_000, Ways: r, Failed: func(transaction.Failure) {}})
	defer u.Close()
	for n := range 20_000 {
		if err := u.Send(&signal.Outgoing{Tx: 1<<63 | signal.TxID(n), Method: "INVITE", URI: "sip:c@phone",
			Ways: []signal.Way{{Flow: r.open[1].flow}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			u.FlowGone(2)
		}
	})
}
