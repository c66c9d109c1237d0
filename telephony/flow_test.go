package telephony_test

import (
	"net/netip"
	"testing"

	"demarc/telephony"
)

func TestSameFlow(t *testing.T) {
	udp := telephony.Flow{ID: 1, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
	tls := telephony.Flow{ID: 1, Listener: "tls", Transport: telephony.TLS, Remote: netip.MustParseAddrPort("192.0.2.1:5061")}
	renumbered, elsewhere, at := udp, udp, udp
	renumbered.ID, elsewhere.Listener, at.Remote = 2, "other", netip.MustParseAddrPort("192.0.2.1:5062")
	one, another := udp, udp // of our addresses
	one.Local, another.Local = netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.10")
	later, moved, nowhere := tls, tls, udp
	nowhere.Remote = netip.AddrPort{}
	later.ID, moved.Remote = 2, netip.MustParseAddrPort("192.0.2.2:5061")
	for _, c := range []struct {
		a, b telephony.Flow
		same bool
	}{
		{udp, udp, true}, {udp, renumbered, true}, {udp, elsewhere, false}, {udp, at, false},
		{nowhere, nowhere, false}, {tls, tls, true}, {tls, moved, true}, {tls, later, false},
		{one, one, true}, {one, another, false}, {one, udp, true}, {udp, another, true},
	} {
		if c.a.Same(c.b) != c.same {
			t.Errorf("%+v and %+v: %t", c.a, c.b, !c.same)
		}
	}
}
