package registration_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// decide runs the requests in turn under the rules.
func decide(rules registration.Rules, requests ...*registration.Request) (d registration.Decision) {
	for _, r := range requests {
		d = registration.Decide(rules, registration.State{Account: "acc", Node: "n", AoR: alice, Bindings: d.Bindings}, r,
			start.Add(time.Second))
	}
	return d
}

func TestPath(t *testing.T) {
	const contact = "sip:1001@10.0.0.1"
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	value := []string{"<sip:p1.example;lr>", "<sip:p2.example;lr;ob>"}
	path := func(r *registration.Request) { r.Path, r.PathKnown, r.Proxied = value, true, true }
	for _, test := range []struct {
		name    string
		proxies []netip.Prefix
		change  func(*registration.Request)
		status  int
		stored  string
		echoed  bool
	}{
		{"from a proxy", proxies, path, 200, strings.Join(value, ", "), true},
		{"the phone does not know it", proxies, func(r *registration.Request) { path(r); r.PathKnown = false }, 200,
			strings.Join(value, ", "), false},
		{"from a stranger", nil, path, 200, "", false},
		{"a stranger insists", nil, func(r *registration.Request) { path(r); r.PathAsked = true }, 420, "", false},
		{"too long", proxies, func(r *registration.Request) {
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
		want    registration.Push
		fault   string
	}{
		{"sip:a@h", registration.Push{}, ""},
		{"sip:a@h;pn-provider=fcm;pn-param=p;pn-prid=tok%3A1%3B%40%3d", registration.Push{Provider: "fcm", Param: "p", PRID: "tok:1;@="}, ""},
		{"sip:a@h;PN-Provider=apns;pn-param=T.B.remote&voip;pn-prid=t1:remote&t2:voip?x=y",
			registration.Push{Provider: "apns", Param: "T.B.remote&voip", PRID: "t1:remote&t2:voip"}, ""},
		{"sip:a@h;pn-type=google;app-id=1;pn-tok=t", registration.Push{Provider: "google", Param: "1", PRID: "t"}, ""},
		{"sip:a;pn-prid=no@h", registration.Push{}, ""},
		{"sip:a?b@h;pn-provider=fcm;pn-prid=t?x=y", registration.Push{Provider: "fcm", PRID: "t"}, ""},
		{"sip:a@h;pn-provider=fcm", registration.Push{Provider: "fcm"}, ""},
		{"sip:a@h;pn-provider=fcm;pn-prid=a%zz", registration.Push{}, "pn-prid"},
		{"sip:a@h;pn-provider=fcm;pn-prid=a%00b", registration.Push{}, "pn-prid"},
		{"sip:a@h;pn-provider=fcm;pn-prid=%ff", registration.Push{}, "pn-prid"},
		{"sip:a@h;pn-prid=x", registration.Push{}, "no pn-provider"},
		{"sip:a@h;pn-provider=fcm;pn-param=x;pn-prid=", registration.Push{}, "empty pn-prid"},
		{"sip:a@h;pn-provider=fcm;pn-prid=" + strings.Repeat("a", 1600), registration.Push{}, "too long"},
	} {
		got, fault := registration.ParsePush(test.contact)
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
		d := decide(own, with(register(1, test.contact), func(r *registration.Request) {
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
		d = registration.Decide(rules, registration.State{Account: "acc", AoR: alice, Bindings: d.Bindings},
			register(uint32(10+before), "sip:new"+want[4:]), start.Add(2*time.Second))
		if d.Reply.Status != 200 || d.Changes[len(d.Changes)-1].Kind != telephony.BindingDisplaced ||
			!strings.HasPrefix(want, d.Changes[len(d.Changes)-1].Contact) {
			t.Fatalf("%d %+v, want %s displaced", d.Reply.Status, d.Changes, want)
		}
	}
}
