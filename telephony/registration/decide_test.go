package registration_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"demarc/telephony"
	"demarc/telephony/registration"
)

var (
	rules = registration.Rules{MinExpires: time.Minute, DefaultExpires: time.Hour, MaxExpires: 2 * time.Hour, Contacts: 3}
	start = time.Unix(1_700_000_000, 0)
	alice = telephony.NewAoR("1001", "pbx.example.org")
)

func flow(id uint64) telephony.Flow {
	return telephony.Flow{ID: id, Listener: "tls", Transport: telephony.TLS,
		Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(30000+id))}
}

// register builds a REGISTER; each contact is "uri" or "uri expires".
func register(cseq uint32, contacts ...string) *registration.Request {
	r := &registration.Request{Flow: flow(1), Domain: alice.Domain, To: alice, From: alice, CallID: "call-1", CSeq: cseq,
		Expires: -1, UserAgent: "test phone"}
	for _, c := range contacts {
		uri, expires, ok := strings.Cut(c, " ")
		contact := registration.Contact{URI: uri, Q: 1000, Expires: -1}
		if ok {
			contact.Expires = atoi(expires)
		}
		r.Contacts = append(r.Contacts, contact)
	}
	return r
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

func with(r *registration.Request, change func(*registration.Request)) *registration.Request {
	change(r)
	return r
}

func fromFlow(id uint64) func(*registration.Request) {
	return func(r *registration.Request) { r.Flow = flow(id) }
}

func instance(name string, regID int) func(*registration.Request) {
	return func(r *registration.Request) {
		r.Outbound = regID > 0
		for i := range r.Contacts {
			r.Contacts[i].Instance, r.Contacts[i].RegID = name, regID
		}
	}
}

// run decides the requests one after another, all at start, and returns the last decision.
func run(t *testing.T, requests ...*registration.Request) registration.Decision {
	t.Helper()
	var d registration.Decision
	for i, r := range requests {
		before := slices.Clone(d.Bindings)
		s := registration.State{Account: "acc_1", Node: "n", AoR: alice, Bindings: d.Bindings}
		next := registration.Decide(rules, s, r, start)
		if !slices.Equal(before, s.Bindings) {
			t.Fatalf("request %d changed its input", i)
		}
		d = next
	}
	return d
}

func contacts(d registration.Decision) string {
	var uris []string
	for _, b := range d.Reply.Bindings {
		uris = append(uris, b.URI)
	}
	return strings.Join(uris, " ")
}

func kinds(d registration.Decision) string {
	var names []string
	for _, c := range d.Changes {
		names = append(names, string(c.Kind))
	}
	return strings.Join(names, " ")
}

func TestDecide(t *testing.T) {
	const a, b, c, e = "sip:1001@10.0.0.1:5060", "sip:1001@10.0.0.2:5060", "sip:1001@10.0.0.3", "sip:1001@10.0.0.4"
	header := func(seconds int) func(*registration.Request) {
		return func(r *registration.Request) { r.Expires = seconds }
	}
	star := func(r *registration.Request) { r.Star, r.Expires = true, 0 }
	otherCall := func(r *registration.Request) { r.CallID = "call-2" }
	tests := []struct {
		name     string
		requests []*registration.Request
		status   int
		contacts string
		changes  string
		expires  int // of the first contact
	}{
		{"first contact, default expiry", []*registration.Request{register(1, a)}, 200, a, "registered", 3600},
		{"§10.2.1.1 header", []*registration.Request{with(register(1, a), header(600))}, 200, a, "registered", 600},
		{"§10.2.1.1 parameter over header", []*registration.Request{with(register(1, a+" 700"), header(600))}, 200, a,
			"registered", 700},
		{"longer than the maximum is cut", []*registration.Request{register(1, a+" 99999")}, 200, a, "registered", 7200},
		{"§10.3 step 7: too brief", []*registration.Request{register(1, a+" 59")}, 423, "", "", 0},
		{"the minimum itself is fine", []*registration.Request{register(1, a+" 60")}, 200, a, "registered", 60},
		{"refresh is no change", []*registration.Request{register(1, a), register(2, a+" 900")}, 200, a, "", 900},
		{"several contacts", []*registration.Request{register(1, a, b)}, 200, a + " " + b, "registered registered", 3600},
		{"two phones", []*registration.Request{register(1, a), with(register(1, b), otherCall)}, 200, a + " " + b,
			"registered", 3600},
		{"§10.2.2 remove one", []*registration.Request{register(1, a, b), register(2, a+" 0")}, 200, b, "unregistered", 3600},
		{"remove what is not there", []*registration.Request{register(1, a), register(2, b+" 0")}, 200, a, "", 3600},
		{"§10.2.2 remove all", []*registration.Request{register(1, a, b), with(register(2), star)}, 200, "",
			"unregistered unregistered", 0},
		{"star with nothing bound", []*registration.Request{with(register(2), star)}, 200, "", "", 0},
		{"§10.3 step 6: star without Expires 0", []*registration.Request{register(1, a), with(with(register(2), star),
			header(60))}, 400, "", "", 0},
		{"star beside a contact", []*registration.Request{with(register(2, a), star)}, 400, "", "", 0},
		{"star out of order", []*registration.Request{register(5, a), with(register(4), star)}, 500, "", "", 0},
		{"star of another call", []*registration.Request{register(5, a), with(with(register(4), star), otherCall)}, 200,
			"", "unregistered", 0},
		{"§10.2.3 fetch", []*registration.Request{register(1, a), register(2)}, 200, a, "", 3600},
		{"fetch with nothing", []*registration.Request{register(2)}, 200, "", "", 0},
		{"§10.3 step 7: lower CSeq", []*registration.Request{register(5, a), register(4, a)}, 500, "", "", 0},
		{"same CSeq removes nothing", []*registration.Request{register(5, a), register(5, a+" 0")}, 500, "", "", 0},
		{"lower CSeq of another call", []*registration.Request{register(5, a), with(register(1, a), otherCall)}, 200, a,
			"", 3600},
		{"all or nothing", []*registration.Request{register(1, a), register(2, b, a+" 5")}, 423, "", "", 0},
		{"retransmission", []*registration.Request{register(5, a), register(5, a)}, 200, a, "", 3600},
		{"retransmitted from elsewhere", []*registration.Request{register(5, a), with(register(5, a), fromFlow(2))}, 500,
			"", "", 0},
		{"same contact twice", []*registration.Request{register(1, a, a)}, 400, "", "", 0},
		{"§19.1.4 host without case", []*registration.Request{register(1, "sip:x@Host.example;ob"), register(2,
			"sip:x@host.EXAMPLE")},
			200, "sip:x@host.EXAMPLE", "registered", 3600},
		{"§19.1.4 user with case", []*registration.Request{register(1, "sip:x@h"), register(2, "sip:X@h")},
			200, "sip:x@h sip:X@h", "registered", 3600},
		{"§19.1.4 user with escapes", []*registration.Request{register(1, "sip:%61ndr%c3%a9@h"), register(2, "sip:andr%C3%A9@h")},
			200, "sip:andr%C3%A9@h", "registered", 3600},
		{"the limit", []*registration.Request{register(1, a, b, c), register(2, e)}, 403, "", "", 0},
		{"the limit in one request", []*registration.Request{register(1, a, b, c, e)}, 403, "", "", 0},
		{"a refresh at the limit", []*registration.Request{register(1, a, b, c), register(2, b)}, 200, a + " " + b + " " +
			c, "", 3600},
		{"RFC 5626: flow replaced", []*registration.Request{with(register(1, a), instance("urn:1", 1)),
			with(with(register(2, b), instance("urn:1", 1)), fromFlow(2))}, 200, b, "registered", 3600},
		{"RFC 5626: second flow", []*registration.Request{with(register(1, a), instance("urn:1", 1)),
			with(with(register(2, b), instance("urn:1", 2)), fromFlow(2))}, 200, a + " " + b, "registered", 3600},
		{"RFC 5626: other instance", []*registration.Request{with(register(1, a), instance("urn:1", 1)),
			with(with(register(2, a), instance("urn:2", 1)), fromFlow(2))}, 200, a + " " + a, "registered", 3600},
		{"RFC 5626 §6: two with reg-id", []*registration.Request{with(register(1, a, b), instance("urn:1", 1))}, 400, "", "", 0},
		{"RFC 5626 §6: one with reg-id, one without", []*registration.Request{with(with(register(1, a, b), instance("urn:1", 1)),
			func(r *registration.Request) { r.Contacts[1].RegID = 0 })}, 400, "", "", 0},
		{"RFC 5626 §6: one with reg-id, another ends", []*registration.Request{register(1, b),
			with(with(register(2, a, b+" 0"), instance("urn:1", 1)), func(r *registration.Request) { r.Contacts[1].RegID = 0 })},
			200, a, "registered unregistered", 0},
		{"instance without reg-id comes back from another port", []*registration.Request{with(register(1, a),
			instance("urn:1", 0)),
			with(with(register(2, b), instance("urn:1", 0)), fromFlow(2))}, 200, b, "registered", 3600},
		{"RFC 5626 §4.1: the same instance in other letters", []*registration.Request{with(register(1, a), instance("urn:uuid:0a", 1)),
			with(with(register(2, b), instance("URN:UUID:0A", 1)), fromFlow(2))}, 200, b, "registered", 3600},
		{"RFC 5626 §4.1: the same without reg-id", []*registration.Request{with(register(1, a), instance("urn:uuid:0A", 0)),
			with(with(register(2, b), instance("urn:uuid:0a", 0)), fromFlow(2))}, 200, b, "registered", 3600},
		{"RFC 5626 §4.1: other letters at the same contact", []*registration.Request{with(register(1, a), instance("urn:uuid:0A", 0)),
			with(register(2, a), instance("urn:uuid:0a", 0))}, 200, a, "", 3600},
		{"instance with two contacts of its own", []*registration.Request{with(register(1, a, b), instance("urn:1", 0)),
			with(register(2, a, b), instance("urn:1", 0))}, 200, a + " " + b, "", 3600},
		{"another instance at the same contact", []*registration.Request{with(register(1, a), instance("urn:1", 0)),
			with(register(2, a), instance("urn:2", 0))}, 200, a, "displaced registered", 3600},
		{"not a SIP contact", []*registration.Request{register(1, "mailto:a@b")}, 400, "", "", 0},
		{"contact with NUL", []*registration.Request{register(1, "sip:a\x00@b")}, 400, "", "", 0},
		{"contact that is not UTF-8", []*registration.Request{register(1, "sip:\xff@b")}, 400, "", "", 0},
		{"huge contact", []*registration.Request{register(1, "sip:"+strings.Repeat("a", 2100)+"@b")}, 400, "", "", 0},
		{"no Call-ID", []*registration.Request{with(register(1, a), func(r *registration.Request) { r.CallID = "" })}, 400,
			"", "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := run(t, test.requests...)
			if d.Reply.Status != test.status {
				t.Fatalf("status %d (%s), want %d", d.Reply.Status, d.Reply.Reason, test.status)
			}
			if (d.Text == "") != (test.status == 200) {
				t.Errorf("support staff is told %q of a %d", d.Text, test.status)
			}
			if got := contacts(d); got != test.contacts {
				t.Errorf("contacts %q, want %q", got, test.contacts)
			}
			if got := kinds(d); got != test.changes {
				t.Errorf("changes %q, want %q", got, test.changes)
			}
			if test.expires > 0 && d.Reply.Bindings[0].Expires != test.expires {
				t.Errorf("expires %d, want %d", d.Reply.Bindings[0].Expires, test.expires)
			}
			if d.Reply.Status == 423 && d.Reply.MinExpires != 60 {
				t.Errorf("Min-Expires %d", d.Reply.MinExpires)
			}
		})
	}
}

// A user part may hold '?' and ';' (RFC 3261 §25.1): what follows is no header and no parameter.
func TestContactsWithMarksInTheUser(t *testing.T) {
	d := run(t, register(1, "sip:a?x=1@10.0.0.1"), with(register(1, "sip:a?x=2@10.0.0.2"), func(r *registration.Request) { r.CallID = "2" }))
	if got := contacts(d); got != "sip:a?x=1@10.0.0.1 sip:a?x=2@10.0.0.2" {
		t.Errorf("two phones are taken for one: %s", got)
	}
	d = run(t, register(1, "sip:a?b@10.0.0.1?Subject=x"), register(2, "sip:a?b@10.0.0.1"))
	if got := contacts(d); got != "sip:a?b@10.0.0.1" {
		t.Errorf("one phone is taken for two: %s", got)
	}
	for uri, want := range map[string]string{
		"sip:a;pn-prid=b@h;pn-prid=c;x=1": "sip:a;pn-prid=b@h;x=1", "sip:a?b:pw@h": "sip:a?b@h", "sip:h;pn-prid=c": "sip:h",
	} {
		if got := registration.PublicContact(uri); got != want {
			t.Errorf("%s is shown as %s, want %s", uri, got, want)
		}
	}
}

func TestQOrdersTheContacts(t *testing.T) {
	r := register(1, "sip:a@h", "sip:b@h", "sip:c@h")
	r.Contacts[0].Q, r.Contacts[1].Q = 100, 500
	if got := contacts(run(t, r)); got != "sip:c@h sip:b@h sip:a@h" {
		t.Errorf("order %s", got)
	}
}

func TestLimitDropsTheOldestDead(t *testing.T) {
	d := run(t, register(1, "sip:a@h", "sip:b@h", "sip:c@h"))
	d.Bindings[1].Reachable, d.Bindings[2].Reachable = false, false
	d.Bindings[1].RefreshedAt = start.Add(-time.Minute)
	d.Bindings[2].RefreshedAt = start.Add(-time.Hour)
	s := registration.State{Account: "acc_1", AoR: alice, Bindings: d.Bindings}
	d = registration.Decide(rules, s, register(2, "sip:e@h"), start)
	if contacts(d) != "sip:a@h sip:b@h sip:e@h" || kinds(d) != "registered displaced" ||
		d.Changes[1].Contact != "sip:c@h" {
		t.Errorf("%s; %s", contacts(d), kinds(d))
	}
}

// Two nodes may each give the last place away. Who has one then may keep it and give it back; only nobody else gets one.
func TestOverTheLimit(t *testing.T) {
	d := run(t, register(1, "sip:a@h", "sip:b@h", "sip:c@h"))
	there := run(t, register(1, "sip:e@h")).Bindings[0]
	there.Node = "other"
	s := registration.State{Account: "acc_1", Node: "n", AoR: alice, Bindings: append(d.Bindings, there),
		Present: func(string) bool { return true }}
	for name, c := range map[string]struct {
		req    *registration.Request
		status int
		left   int
	}{
		"refresh":        {register(2, "sip:a@h"), 200, 4},
		"removal":        {register(2, "sip:a@h 0"), 200, 3},
		"another":        {register(2, "sip:f@h"), 403, 4},
		"one for one":    {register(2, "sip:a@h 0", "sip:f@h"), 200, 4},
		"refresh by one": {register(2, "sip:a@h", "sip:f@h"), 403, 4},
	} {
		if d := registration.Decide(rules, s, c.req, start); d.Reply.Status != c.status || len(d.Bindings) != c.left {
			t.Errorf("%s: %d, %d bindings", name, d.Reply.Status, len(d.Bindings))
		}
	}
}

// What a 423 asks for is enough (RFC 3261 §10.2.8), also where the least is no whole number of seconds.
func TestMinExpiresIsEnough(t *testing.T) {
	odd := rules
	odd.MinExpires = 90*time.Second + time.Millisecond
	s := registration.State{Account: "acc_1", Node: "n", AoR: alice}
	brief := registration.Decide(odd, s, register(1, "sip:a@h 60"), start)
	enough := with(register(2, "sip:a@h"), func(r *registration.Request) { r.Expires = brief.Reply.MinExpires })
	if d := registration.Decide(odd, s, enough, start); brief.Reply.Status != 423 || d.Reply.Status != 200 {
		t.Errorf("%d with Min-Expires %d, then %d", brief.Reply.Status, brief.Reply.MinExpires, d.Reply.Status)
	}
}

func TestBindingComesBack(t *testing.T) {
	d := run(t, register(1, "sip:a@h"))
	d.Bindings[0].Reachable = false
	d = registration.Decide(rules, registration.State{AoR: alice, Bindings: d.Bindings}, with(register(2, "sip:a@h"),
		fromFlow(2)), start)
	if kinds(d) != "registered" || !d.Bindings[0].Reachable || d.Bindings[0].Flow.ID != 2 {
		t.Errorf("%s %+v", kinds(d), d.Bindings)
	}
}

func TestExpiredBindingsAreGone(t *testing.T) {
	d := run(t, register(1, "sip:a@h 60", "sip:b@h 120"))
	s := registration.State{Node: "n", AoR: alice, Bindings: d.Bindings}
	d = registration.Decide(rules, s, register(2), start.Add(60*time.Second))
	if contacts(d) != "sip:b@h" || kinds(d) != "expired" || d.Reply.Bindings[0].Expires != 60 {
		t.Errorf("%s %s", contacts(d), kinds(d))
	}
}

func TestOutboundIsRequired(t *testing.T) {
	if d := run(t, with(register(1, "sip:a@h"), instance("urn:1", 1))); !d.Reply.Outbound {
		t.Error("no Require: outbound (RFC 5626 §6)")
	}
	if d := run(t, with(register(1, "sip:a@h"), instance("urn:1", 0))); d.Reply.Outbound {
		t.Error("Require: outbound without reg-id")
	}
	d := run(t, with(register(1, "sip:a@h"), func(r *registration.Request) { r.Outbound, r.Contacts[0].RegID = true, 1 }))
	if d.Reply.Outbound || d.Bindings[0].RegID != 0 || d.Reply.Bindings[0].RegID != 0 || d.Bindings[0].Key != "uri:sip:a@h" {
		t.Errorf("a reg-id without an instance counts: %+v", d.Bindings[0])
	}
}

func TestChangesShowNoSecrets(t *testing.T) {
	uri := "sip:1001:secret@h;transport=tls;pn-prid=secret;ob"
	d := run(t, register(1, uri))
	if got := d.Changes[0].Contact; got != "sip:1001@h;transport=tls;ob" || d.Bindings[0].Contact != uri {
		t.Errorf("change %q, binding %q", got, d.Bindings[0].Contact)
	}
}

func TestLongUserAgentIsCut(t *testing.T) {
	d := run(t, with(register(1, "sip:a@h"), func(r *registration.Request) {
		r.UserAgent = strings.Repeat("é\x00\xff",
			100)
	}))
	if ua := d.Bindings[0].UserAgent; len(ua) > 128 || !utf8.ValidString(ua) || strings.IndexByte(ua, 0) >= 0 {
		t.Errorf("%q", ua)
	}
}
