package registrar_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registrar"
)

// decide runs the requests in turn under the rules.
func decide(rules registrar.Rules, requests ...*registrar.Request) (d registrar.Decision) {
	for _, r := range requests {
		d = registrar.Decide(rules, registrar.State{Account: "acc", Node: "n", AoR: alice, Bindings: d.Bindings}, r,
			start.Add(time.Second))
	}
	return d
}

func TestPath(t *testing.T) {
	const contact = "sip:1001@10.0.0.1"
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	value := []string{"<sip:p1.example;lr>", "<sip:p2.example;lr;ob>"}
	path := func(r *registrar.Request) { r.Path, r.PathKnown, r.Proxied = value, true, true }
	for _, test := range []struct {
		name    string
		proxies []netip.Prefix
		change  func(*registrar.Request)
		status  int
		stored  string
		echoed  bool
	}{
		{"from a proxy", proxies, path, 200, strings.Join(value, ", "), true},
		{"the phone does not know it", proxies, func(r *registrar.Request) { path(r); r.PathKnown = false }, 200,
			strings.Join(value, ", "), false},
		{"from a stranger", nil, path, 200, "", false},
		{"a stranger insists", nil, func(r *registrar.Request) { path(r); r.PathAsked = true }, 420, "", false},
		{"too long", proxies, func(r *registrar.Request) {
			path(r)
			r.Path = []string{"<sip:" + strings.Repeat("p", 3000) + ";lr>"}
		}, 400, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := rules
			own.Proxies = test.proxies
			d := decide(own, with(register(1, contact), test.change))
			if d.Reply.Status != test.status {
				t.Fatalf("status %d, want %d", d.Reply.Status, test.status)
			}
			if test.status != 200 {
				return
			}
			if d.Bindings[0].Path != test.stored || slices.Equal(d.Reply.Path, value) != test.echoed {
				t.Errorf("stored %q, echoed %q", d.Bindings[0].Path, d.Reply.Path)
			}
		})
	}
}

func TestOutboundThroughProxies(t *testing.T) {
	own := rules
	own.Proxies, own.FlowTimer = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, 2*time.Minute
	for _, test := range []struct {
		name      string
		path      []string
		proxied   bool
		transport telephony.Transport
		status    int
		timer     int
	}{
		{"direct over a stream", nil, false, telephony.TLS, 200, 120},
		{"direct over UDP", nil, false, telephony.UDP, 200, 29},
		{"the first hop knows", []string{"<sip:near.registrar;lr>", "<sip:tok@edge;lr;ob>"}, true, telephony.TLS, 200, 0},
		{"only the last hop knows", []string{"<sip:x;lr;ob>", "<sip:edge;lr>"}, true, telephony.TLS, 439, 0},
		{"no Path at all", nil, true, telephony.TLS, 439, 0},
		{"the first hop knows, and is a stranger", []string{"<sip:tok@edge;lr;ob>"}, true, telephony.WSS, 439, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := own
			if test.transport == telephony.WSS {
				own.Proxies = nil
			}
			r := with(register(1, "sip:1001@10.0.0.1"), instance("urn:1", 1))
			r.Path, r.Proxied, r.Flow.Transport = test.path, test.proxied, test.transport
			d := decide(own, r)
			if d.Reply.Status != test.status || d.Reply.FlowTimer != test.timer {
				t.Errorf("status %d with Flow-Timer %d, want %d with %d", d.Reply.Status, d.Reply.FlowTimer, test.status,
					test.timer)
			}
		})
	}
}

func TestParsePush(t *testing.T) {
	for _, test := range []struct {
		contact string
		want    registrar.Push
		fault   string
	}{
		{"sip:a@h", registrar.Push{}, ""},
		{"sip:a@h;pn-provider=fcm;pn-param=p;pn-prid=tok%3A1%3B%40%3d", registrar.Push{Provider: "fcm", Param: "p", PRID: "tok:1;@="}, ""},
		{"sip:a@h;PN-Provider=apns;pn-param=T.B.remote&voip;pn-prid=t1:remote&t2:voip?x=y",
			registrar.Push{Provider: "apns", Param: "T.B.remote&voip", PRID: "t1:remote&t2:voip"}, ""},
		{"sip:a@h;pn-type=google;app-id=1;pn-tok=t", registrar.Push{Provider: "google", Param: "1", PRID: "t"}, ""},
		{"sip:a;pn-prid=no@h", registrar.Push{}, ""},
		{"sip:a?b@h;pn-provider=fcm;pn-prid=t?x=y", registrar.Push{Provider: "fcm", PRID: "t"}, ""},
		{"sip:a@h;pn-provider=fcm", registrar.Push{Provider: "fcm"}, ""},
		{"sip:a@h;pn-provider=fcm;pn-prid=a%zz", registrar.Push{}, "pn-prid"},
		{"sip:a@h;pn-provider=fcm;pn-prid=a%00b", registrar.Push{}, "pn-prid"},
		{"sip:a@h;pn-provider=fcm;pn-prid=%ff", registrar.Push{}, "pn-prid"},
		{"sip:a@h;pn-prid=x", registrar.Push{}, "no pn-provider"},
		{"sip:a@h;pn-provider=fcm;pn-param=x;pn-prid=", registrar.Push{}, "empty pn-prid"},
		{"sip:a@h;pn-provider=fcm;pn-prid=" + strings.Repeat("a", 1600), registrar.Push{}, "too long"},
	} {
		got, fault := registrar.ParsePush(test.contact)
		if got != test.want || (fault == "") != (test.fault == "") || !strings.Contains(fault, test.fault) {
			t.Errorf("%s: %+v %q", test.contact, got, fault)
		}
	}
}

func TestPushIsPromisedOnlyWhereServed(t *testing.T) {
	const with, other, query = "sip:a@h;pn-provider=fcm;pn-prid=t", "sip:a@h;pn-provider=apns;pn-prid=t", "sip:a@h;pn-provider"
	for _, test := range []struct {
		served   []string
		contact  string
		status   int
		promised string
	}{
		{nil, with, 200, ""},
		{nil, "sip:a@h;pn-provider=fcm", 555, ""}, // only asks
		{nil, query, 200, ""},
		{[]string{"fcm", "x"}, with, 200, "fcm"},
		{[]string{"fcm", "x"}, query, 200, "fcm x"},
		{[]string{"fcm"}, other, 555, ""},
		{[]string{"fcm"}, "sip:a@h", 200, ""},
		{nil, other + " 0", 200, ""},
		{[]string{"fcm"}, other + " 0", 200, ""}, // signing off is always allowed
	} {
		own := rules
		own.Push = test.served
		d := decide(own, register(1, test.contact))
		if d.Reply.Status != test.status || strings.Join(d.Reply.Push, " ") != test.promised {
			t.Errorf("%v, %s: %d %v", test.served, test.contact, d.Reply.Status, d.Reply.Push)
		}
	}
}

// A proxy of ours that says it pushes is left to it: the phone gets no second promise and no refusal. A stranger's word is none.
func TestPushByAProxy(t *testing.T) {
	const phone, query, only = "sip:a@h;pn-provider=fcm;pn-prid=t", "sip:a@h;pn-provider", "sip:a@h;pn-provider=fcm"
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, test := range []struct {
		proxies  []netip.Prefix
		served   []string
		contact  string
		status   int
		promised string
	}{
		{proxies, nil, phone, 200, ""},
		{proxies, nil, only, 200, ""},
		{proxies, nil, query, 200, ""},
		{proxies, []string{"fcm", "apns"}, phone, 200, ""},
		{proxies, []string{"fcm", "apns"}, query, 200, "apns"},
		{proxies, []string{"apns"}, phone, 200, ""},
		{nil, nil, only, 555, ""},
		{nil, []string{"apns"}, phone, 555, ""},
		{nil, []string{"fcm"}, phone, 200, "fcm"},
	} {
		own := rules
		own.Push, own.Proxies = test.served, test.proxies
		d := decide(own, with(register(1, test.contact), func(r *registrar.Request) {
			r.Proxied, r.Pushers = true, []string{"fcm"}
		}))
		if d.Reply.Status != test.status || strings.Join(d.Reply.Push, " ") != test.promised {
			t.Errorf("%v behind %v, %s: %d %v", test.served, test.proxies, test.contact, d.Reply.Status, d.Reply.Push)
		}
	}
}

func TestMalformedPushIsTold(t *testing.T) {
	const bad = "sip:a@h;pn-provider=fcm;pn-prid=%zz"
	d := decide(rules, register(1, bad))
	if d.Reply.Status != 200 || kinds(d) != "registered push_malformed" {
		t.Fatalf("%d %s", d.Reply.Status, kinds(d))
	}
	if c := d.Changes[1]; strings.Contains(c.Contact, "zz") || !strings.Contains(c.Text, "pn-prid cannot be decoded") {
		t.Errorf("told %q of %q", c.Text, c.Contact)
	}
	if d = decide(rules, register(1, bad), register(2, bad)); kinds(d) != "" {
		t.Errorf("a refresh tells again: %s", kinds(d))
	}
}

func TestLimitKeepsWhatAPushCanWake(t *testing.T) {
	d := decide(rules, register(1, "sip:sleeps@h;pn-provider=fcm;pn-prid=t", "sip:dead@h", "sip:lives@h"))
	d.Bindings[0].Reachable, d.Bindings[1].Reachable = false, false
	for _, want := range []string{"sip:dead@h", "sip:sleeps@h"} {
		before := len(d.Bindings)
		d = registrar.Decide(rules, registrar.State{Account: "acc", AoR: alice, Bindings: d.Bindings},
			register(uint32(10+before), "sip:new"+want[4:]), start.Add(2*time.Second))
		if d.Reply.Status != 200 || d.Changes[len(d.Changes)-1].Kind != telephony.BindingDisplaced ||
			!strings.HasPrefix(want, d.Changes[len(d.Changes)-1].Contact) {
			t.Fatalf("%d %+v, want %s displaced", d.Reply.Status, d.Changes, want)
		}
	}
}

func TestLookupGroupsFlowsByPhone(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Rules.Contacts = 10 })
	p := f.phone("1001", "one", 1)
	flows := func(uri, name string, regID int, flowID uint64) {
		p.flow = flow(flowID)
		p.must(200, func(r *registrar.Request) {
			r.Contacts = []registrar.Contact{{URI: uri, Instance: name, RegID: regID, Q: 1000, Expires: -1}}
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
	var found []registrar.Target // true in memory a moment after the store knows
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
	for _, of := range []registrar.Flow{flow(1), flow(3), flow(9)} {
		if b, ok := f.Standing(alice, of); ok {
			t.Errorf("%+v stands on flow %d", b, of.ID)
		}
	}
}
