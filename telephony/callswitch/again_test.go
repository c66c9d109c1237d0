package callswitch_test

import (
	"testing"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// A phone that asks for a longer session again and again gets one more INVITE, whatever it asks for.
func TestAsking422ForEverIsNotFollowed(t *testing.T) {
	for _, least := range []string{"0", "1", "90", "3600"} {
		w := newWorld(t.Fatalf)
		w.invite(true)
		for n := 1; ; n++ {
			open := pending(w.clients, func(k *client) bool { return k.leg == 2 && k.out.Method == "INVITE" })
			if len(open) == 0 {
				break
			}
			if n > 2 {
				t.Fatalf("Min-SE %s: INVITE number %d", least, n)
			}
			w.respond(open[0], 422, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Min-SE", Value: least}} })
		}
		w.finish()
	}
}

// What has one hop left ends here: with none it could not be told from what has all.
func TestTheLastHopIsNotSentOn(t *testing.T) {
	for hops, want := range map[int]int{0: 483, 1: 483, 2: 0} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) { r.Hops = hops }
		tx := w.invite(true)
		if got := w.servers[tx].final; got != want {
			t.Errorf("Max-Forwards %d: %d, want %d", hops, got, want)
		}
		for _, k := range w.clients {
			if k.out.Hops != hops-1 {
				t.Errorf("Max-Forwards %d goes on as %d", hops, k.out.Hops)
			}
		}
	}
}
