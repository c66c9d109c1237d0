package registration_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/telephony/registration"
)

// TestShortWay runs random histories of one AoR in which phones mostly say the same again, and holds the short way against the
// rules: where it decides, it decides the same.
func TestShortWay(t *testing.T) {
	short, several := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rules := rules
		rules.FlowTimer = rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "timer")
		now := start
		var bindings []registration.Binding
		last := &registration.Request{Flow: flow(1), To: alice, From: alice, CallID: "c1", Expires: 600, Outbound: rapid.Bool().Draw(t, "outbound"),
			Contacts: []registration.Contact{{URI: "sip:1001@10.0.0.1", Instance: rapid.SampledFrom([]string{"", "urn:1"}).Draw(t, "instance"),
				RegID: rapid.IntRange(0, 1).Draw(t, "reg-id"), Q: 1000, Expires: -1}}}
		if rapid.Bool().Draw(t, "second phone") {
			other := &registration.Request{Flow: flow(9), To: alice, From: alice, CallID: "c9", CSeq: 1, Expires: 7200,
				Contacts: []registration.Contact{{URI: "sip:1001@10.0.0.9", Q: rapid.SampledFrom([]int{500, 1000}).Draw(t, "q"), Expires: -1}}}
			bindings = registration.Decide(rules, registration.State{Account: "acc_1", Node: "n", AoR: alice}, other, now).Bindings
		}
		for range 40 {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "pause")) * time.Second)
			for i := range bindings {
				bindings[i].Reachable = bindings[i].Reachable && rapid.IntRange(0, 19).Draw(t, "close") < 19
			}
			r := drawRequest(t)
			if rapid.IntRange(0, 29).Draw(t, "again") < 25 {
				again := *last
				r = &again
				r.CSeq += rapid.SampledFrom([]uint32{1, 1, 2, 0}).Draw(t, "later")
				change(t, r)
			}
			state := registration.State{Account: "acc_1", Node: "n", AoR: alice, Bindings: bindings}
			want := registration.Decide(rules, state, r, now)
			if got, ok := byTheShortWay(rules, state, r, now); ok {
				short++
				if len(bindings) > 1 {
					several++
				}
				if want.Reply.Bindings == nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("%+v\nthe short way: %+v\nthe rules:     %+v", r, got, want)
				}
			}
			bindings, last = want.Bindings, r
		}
	})
	if short < 50 || several < 50 {
		t.Errorf("the short way was taken %d times, beside other phones %d times", short, several)
	}
}

// change lets a repeated request differ a little, now and then.
func change(t *rapid.T, r *registration.Request) {
	switch rapid.IntRange(0, 30).Draw(t, "change") - 20 {
	case 0:
		r.Expires = rapid.SampledFrom([]int{-1, 0, 59, 60, 3600, 100_000}).Draw(t, "expires")
	case 1:
		r.UserAgent = rapid.SampledFrom([]string{"a", "a\x00", string(make([]byte, 200))}).Draw(t, "agent")
	case 2:
		r.Path, r.PathAsked = []string{"<sip:p;lr>"}, rapid.Bool().Draw(t, "asked")
	case 3:
		r.Proxied = !r.Proxied
	case 4:
		r.Outbound = !r.Outbound
	case 5:
		r.Flow = flow(5)
	case 6:
		r.PathKnown = !r.PathKnown
	case 7:
		r.Contacts = []registration.Contact{{URI: "sip:1001@10.0.0.1;pn-provider=fcm;pn-prid=x;pn-param=y", Q: 1000, Expires: -1}}
	case 8:
		r.Contacts = []registration.Contact{{URI: "sip:1001@10.0.0.1", Q: rapid.SampledFrom([]int{500, 1000}).Draw(t, "q"), Expires: -1}}
	case 9:
		r.Contacts = []registration.Contact{{URI: "tel:1001", Q: 1000, Expires: 600}}
	case 10:
		r.CallID = ""
	}
}

// byTheShortWay is Decide by Refresh. ok is false when that is not for the request.
func byTheShortWay(rules registration.Rules, s registration.State, req *registration.Request, now time.Time) (d registration.Decision, ok bool) {
	at, until, ok := registration.Refresh(&rules, &s, req, now)
	if !ok {
		return registration.Decision{}, false
	}
	d = registration.Decision{Bindings: slices.Clone(s.Bindings), Outcome: registration.Refreshed}
	d.Bindings[at].Prolong(&s, req, now, until)
	d.Reply = registration.AnswerRefresh(&rules, req, d.Bindings, now, registration.Reply{})
	return d, true
}
