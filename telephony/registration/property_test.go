package registration_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/telephony"
	"demarc/telephony/registration"
)

func drawRequest(t *rapid.T) *registration.Request {
	r := &registration.Request{
		Flow: flow(rapid.Uint64Range(1, 4).Draw(t, "flow")), To: alice, From: alice, Expires: -1,
		CallID: rapid.SampledFrom([]string{"c1", "c2", "c3"}).Draw(t, "call"),
		CSeq:   rapid.Uint32Range(0, 6).Draw(t, "cseq"), Outbound: rapid.Bool().Draw(t, "outbound"),
	}
	if rapid.IntRange(0, 9).Draw(t, "star") == 0 {
		r.Star, r.Expires = true, 0
		return r
	}
	for range rapid.IntRange(0, 4).Draw(t, "contacts") {
		r.Contacts = append(r.Contacts, registration.Contact{
			URI:      fmt.Sprintf("sip:1001@10.0.0.%d", rapid.IntRange(1, 5).Draw(t, "host")),
			Instance: rapid.SampledFrom([]string{"", "urn:1", "urn:2"}).Draw(t, "instance"),
			RegID:    rapid.IntRange(0, 2).Draw(t, "reg-id"), Q: 1000,
			Expires: rapid.SampledFrom([]int{-1, 0, 30, 60, 600, 100_000}).Draw(t, "expires"),
		})
	}
	return r
}

// TestDecideKeepsItsPromises runs random histories of one AoR and checks what must hold after each request.
func TestDecideKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := start
		var bindings []registration.Binding
		registered := map[string]bool{} // as one who only reads the feed believes
		for range rapid.IntRange(1, 25).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "pause")) * time.Second)
			for i := range bindings {
				bindings[i].Reachable = bindings[i].Reachable && rapid.IntRange(0, 5).Draw(t, "close") > 0
			}
			r := drawRequest(t)
			d := registration.Decide(rules, registration.State{Account: "acc_1", AoR: alice, Bindings: bindings}, r, now)
			checkDecision(t, d, now)
			if d.Reply.Status != 200 {
				checkNothingChanged(t, bindings, d, now)
			}
			follow(t, registered, d)
			again := registration.Decide(rules, registration.State{AoR: alice, Bindings: d.Bindings}, r, now)
			if d.Reply.Status == 200 && registration.Retransmitted(registration.State{Bindings: d.Bindings}, r) &&
				(again.Reply.Status != 200 || len(again.Changes) != 0) {
				t.Fatalf("a retransmission was answered %d with %d changes", again.Reply.Status, len(again.Changes))
			}
			bindings = d.Bindings
		}
	})
}

func checkDecision(t *rapid.T, d registration.Decision, now time.Time) {
	keys := map[string]bool{}
	for _, b := range d.Bindings {
		if keys[b.Key] {
			t.Fatalf("key %q stands twice", b.Key)
		}
		keys[b.Key] = true
		if !b.Expires.After(now) || b.Expires.After(now.Add(rules.MaxExpires)) {
			t.Fatalf("a binding that ends at %v, now %v", b.Expires, now)
		}
	}
	if len(d.Bindings) > rules.Contacts {
		t.Fatalf("%d contacts", len(d.Bindings))
	}
	switch d.Reply.Status {
	case 200:
		if len(d.Reply.Bindings) != len(d.Bindings) {
			t.Fatal("the 200 does not list every binding (RFC 3261 §10.3 step 8)")
		}
	case 400, 403, 423, 500:
	default:
		t.Fatalf("status %d", d.Reply.Status)
	}
}

func checkNothingChanged(t *rapid.T, before []registration.Binding, d registration.Decision, now time.Time) {
	var live []registration.Binding
	for _, b := range before {
		if b.Expires.After(now) {
			live = append(live, b)
		}
	}
	if len(live) != len(d.Bindings) {
		t.Fatalf("a refused request left %d of %d bindings", len(d.Bindings), len(live))
	}
	for i := range live {
		if live[i] != d.Bindings[i] {
			t.Fatal("a refused request changed a binding")
		}
	}
}

// follow plays the feed: whoever reads it must know of every contact that stands.
func follow(t *rapid.T, registered map[string]bool, d registration.Decision) {
	for _, c := range d.Changes {
		registered[c.Contact+c.Instance] = c.Kind == telephony.BindingRegistered
	}
	for _, b := range d.Bindings {
		if _, told := registered[b.Contact+b.Instance]; !told && b.RegID == 0 {
			t.Fatalf("nobody was told of %s", b.Contact)
		}
	}
}
