package edge_test

import (
	"sync/atomic"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// A phone may answer with any number. Each would be a time series of its own in whatever reads the metrics.
func TestAPhoneCannotMakeUpWhatIsCounted(t *testing.T) {
	h := &fake{}
	r := start(t, h, edge.Limits{})
	var next atomic.Int64
	_, flow := phoneOn(t, r, h, telephony.TCP, func(*wire.Message) sip.Answer { return sip.Answer{Status: int(next.Load())} })
	for status := 200; status < 700; status++ {
		next.Store(int64(status))
		if _, err := r.Send(t.Context(), flow, options()); err != nil {
			t.Fatal(err)
		}
	}
	all, sum := map[int]uint64{}, uint64(0)
	for m, n := range r.Counters().Sent {
		all[m.Status] += n
		sum += n
	}
	if sum != 500 || len(all) > 80 || all[200] != 99 || all[486] != 1 || all[400] < 50 || all[503] != 1 || all[700] != 0 {
		t.Errorf("%d answers are counted as %d: %v", sum, len(all), all)
	}
}
