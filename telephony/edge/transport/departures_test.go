package transport_test

import (
	"net/netip"
	"slices"
	"testing"

	"demarc/telephony/edge/transport"
)

// A socket's reader and the workers of calls may hold datagrams at the same time: none waits for longer than any of them works,
// and none goes out alone while somebody does.
func TestDatagramsAreHeldByAll(t *testing.T) {
	var together []int
	d := transport.NewDepartures(func(all []transport.Departure) int {
		together = append(together, len(all))
		return 0
	}, func(transport.Departure) {})
	send := func(text string) { d.Send([]byte(text), netip.AddrPort{}, netip.Addr{}) }
	send("alone")
	d.Hold()
	send("with")
	d.Hold()
	send("another")
	d.Release()
	send("still")
	send("held")
	d.Release()
	send("alone")
	if want := []int{1, 2, 2, 1}; !slices.Equal(together, want) {
		t.Errorf("they left as %d, want %d", together, want)
	}
}
