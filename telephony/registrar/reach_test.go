package registrar_test

import (
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

func TestLookupGroupsFlowsByPhone(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Rules.Contacts = 10 })
	p := f.phone("1001", "one", 1)
	flows := func(uri, name string, regID int, flowID uint64) {
		p.flow = flow(flowID)
		p.must(200, func(r *registration.Request) {
			r.Contacts = []registration.Contact{{URI: uri, Instance: name, RegID: regID, Q: 1000, Expires: -1}}
			r.Outbound = regID > 0
		})
		f.clock.advance(time.Second)
	}
	flows("sip:a@1", "urn:1", 1, 1)
	flows("sip:a@2", "urn:1", 2, 2)
	flows("sip:b@1;pn-provider=fcm;pn-prid=t", "urn:2", 0, 3)
	flows("sip:c@1", "", 0, 4)
	f.FlowClosed(flow(1))
	f.FlowClosed(flow(3))
	f.FlowClosed(flow(4))
	eventually(t, "the closed flows are told of", func() bool {
		return strings.Count(f.memory.told(), "flow_closed") == 2 && strings.Contains(f.memory.told(), "asleep")
	})
	var found []registration.Target // true in memory a moment after the store knows
	eventually(t, "two phones are left", func() bool {
		found = f.Lookup(t.Context(), alice)
		return len(found) == 2
	})
	sleeper, other := found[0], found[1]
	if sleeper.Instance != "urn:2" || len(sleeper.Flows) != 0 || len(sleeper.Asleep) != 1 {
		t.Errorf("%+v", sleeper)
	}
	if other.Instance != "urn:1" || len(other.Flows) != 1 || other.Flows[0].Flow.ID != 2 {
		t.Errorf("%+v", other)
	}
	if b, ok := f.Standing(alice, flow(2)); !ok || b.Contact != "sip:a@2" || b.RegID != 2 {
		t.Errorf("%t, %+v stands on the open flow", ok, b)
	}
	for _, of := range []telephony.Flow{flow(1), flow(3), flow(9)} {
		if b, ok := f.Standing(alice, of); ok {
			t.Errorf("%+v stands on flow %d", b, of.ID)
		}
	}
}
