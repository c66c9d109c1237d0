package registrar_test

import (
	"net/netip"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// behindProxy registers a phone through a proxy's connection.
func behindProxy(f *fixture, user, password string, id uint64) *phone {
	f.t.Helper()
	p := f.phone(user, password, id)
	p.flow = telephony.Flow{ID: 7, Listener: "tcp", Transport: telephony.TCP, Remote: netip.MustParseAddrPort("198.51.100.1:40000")}
	p.must(200, proxied)
	return p
}

func proxied(r *registration.Request) {
	r.Path, r.Proxied = []string{"<sip:proxy.example;transport=tcp;lr>"}, true
}

func trusting(c *registrar.Config) {
	c.Rules.Proxies = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
}

// A proxy carries many phones over one connection and closes it when nothing is to be said: that is no phone's end, nor is a
// restart of ours. The phone's end is what the proxy says with 430 (RFC 5626 §5.3), of the way that it was asked for.
func TestProxysConnectionIsNotItsPhones(t *testing.T) {
	m := newMemory()
	f := newFixture(t, m, trusting)
	behindProxy(f, "1001", "one", 1)
	second := behindProxy(f, "1002", "two", 2)
	direct := f.phone("1001", "one", 3)
	direct.must(200, nil)
	f.FlowClosed(telephony.Flow{ID: 7, Transport: telephony.TCP})
	f.FlowClosed(direct.flow)
	eventually(t, "the phone without a proxy is gone", func() bool {
		return m.told() == "registered 1001, registered 1002, registered 1001, flow_closed 1001"
	})
	reachable := func(f *fixture, aor telephony.AoR) (found []registration.Binding) {
		for _, target := range f.Lookup(t.Context(), aor) {
			found = append(found, target.Flows...)
		}
		return found
	}
	two := telephony.NewAoR("1002", alice.Domain)
	if got := reachable(f, alice); len(got) != 1 || got[0].Path == "" || len(reachable(f, two)) != 1 {
		t.Fatalf("%+v", got)
	}

	again := newFixture(t, m, trusting)
	again.clock.advance(time.Second)
	if got := reachable(again, alice); len(got) != 1 || len(reachable(again, two)) != 1 {
		t.Fatalf("after a restart %+v", got)
	}

	failed := reachable(again, alice)[0]
	refreshed := reachable(again, two)[0]
	again.clock.advance(time.Second)
	second.f = again
	second.must(200, proxied) // it came back over a new flow before the old one's failure was known
	again.FlowFailed(refreshed)
	again.FlowFailed(failed)
	eventually(t, "the failed one is gone", func() bool { return len(reachable(again, alice)) == 0 })
	if got := reachable(again, two); len(got) != 1 {
		t.Errorf("the phone that came back is gone: %+v", got)
	}
	if told := m.told(); told != "registered 1001, registered 1002, registered 1001, flow_closed 1001, flow_closed 1001" {
		t.Error(told)
	}
}
