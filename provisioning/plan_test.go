package provisioning_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"demarc/cloudlink"
	. "demarc/provisioning"
)

func pbx() []cloudlink.PBX {
	return []cloudlink.PBX{{PBXID: "p", Realm: "r", Domain: "d"}}
}

func served(id, email, extension string) cloudlink.UserWithEndpoints {
	u := cloudlink.UserWithEndpoints{User: cloudlink.User{UserID: id, Email: email, Extension: extension}}
	for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
		u.SIPEndpoints = append(u.SIPEndpoints, cloudlink.SIPEndpoint{
			EndpointID: string(kind), UserID: id, DeviceKind: kind, SIPUsername: extension, PBXID: "p", Status: "active",
			Licence: cloudlink.LicenceOK, ETag: "1",
		})
	}
	return u
}

func member(email, extension string) Record {
	return Record{User: IntegratedUser{ID: UserID("usr-" + email), Email: email, GivenExtension: extension}}
}

func TestMatching(t *testing.T) {
	ann, bob := served("1", "Ann@x", "100"), served("2", "bob@x", "200")
	bare := served("3", "", "300")
	cases := []struct {
		name    string
		users   []Record
		listing []cloudlink.UserWithEndpoints
		match   string
		cause   Cause
		warning bool
	}{
		{"email without case", []Record{member("ann@x", "")}, []cloudlink.UserWithEndpoints{ann, bob}, "1", "", false},
		{"email before extension", []Record{member("ann@x", "200")}, []cloudlink.UserWithEndpoints{ann, bob}, "1", "", false},
		{"extension of a user without email", []Record{member("cy@x", "300")}, []cloudlink.UserWithEndpoints{bare}, "3", "",
			false},
		{"extension of somebody else's email", []Record{member("cy@x", "200")}, []cloudlink.UserWithEndpoints{bob}, "2", "",
			true},
		{"extension of another integrated user", []Record{member("cy@x", "200"), member("bob@x", "")},
			[]cloudlink.UserWithEndpoints{bob}, "", ExtensionTaken, false},
		{"unknown", []Record{member("cy@x", "")}, []cloudlink.UserWithEndpoints{ann}, "", UnknownUser, false},
		{"two with one email", []Record{member("ann@x", "")},
			[]cloudlink.UserWithEndpoints{ann, served("9", "ann@x", "900")}, "", Ambiguous, false},
		{"two with one email, told apart by extension", []Record{member("ann@x", "900")},
			[]cloudlink.UserWithEndpoints{ann, served("9", "ann@x", "900")}, "9", "", false},
		{"two with one extension", []Record{member("cy@x", "300")},
			[]cloudlink.UserWithEndpoints{bare, served("4", "", "300")}, "", Ambiguous, false},
		{"one user on two pages", []Record{member("ann@x", "")}, []cloudlink.UserWithEndpoints{ann, bob, ann}, "1", "",
			false},
	}
	for _, c := range cases {
		u := NewPlan(c.users, Listing{PBXs: pbx(), Users: c.listing}).Users[0]
		var cause Cause
		if len(u.Gaps) > 0 {
			cause = u.Gaps[0].Cause
		}
		if u.CloudLinkUser != c.match || cause != c.cause || (u.Warning != "") != c.warning {
			t.Errorf("%s: matched %q, cause %q, warning %q", c.name, u.CloudLinkUser, cause, u.Warning)
		}
		if cause != "" && (cause.Turn() == "nobody" || u.Gaps[0].Text == "") {
			t.Errorf("%s: nobody's turn, or no text: %+v", c.name, u.Gaps[0])
		}
	}
}

// An extension that was filled in by an earlier sync must not give a leaver's number to the wrong person.
func TestSyncedExtensionDoesNotMatch(t *testing.T) {
	leaver := member("ann@x", "")
	leaver.User.Extension = "100"
	u := NewPlan([]Record{leaver}, Listing{PBXs: pbx(), Users: []cloudlink.UserWithEndpoints{served("7", "new@x", "100")}}).Users[0]
	if u.CloudLinkUser != "" || u.Gaps[0].Cause != UnknownUser {
		t.Fatalf("matched %+v", u)
	}
}

// For any users and any listing: each user gets one plan; each kind is fetched, kept or explained, exactly once;
// nobody is matched to a user with another email unless an admin gave the extension; and the order of the listing
// does not matter.
func TestPlanProperties(t *testing.T) {
	emails := rapid.SampledFrom([]string{"a@x", "b@x", "c@x", "d@x", ""})
	extensions := rapid.SampledFrom([]string{"1", "2", "3", ""})
	rapid.Check(t, func(t *rapid.T) {
		var users []Record
		for i, email := range []string{"a@x", "b@x", "c@x"}[:rapid.IntRange(1, 3).Draw(t, "users")] {
			r := member(email, extensions.Draw(t, "given"))
			if rapid.Bool().Draw(t, "has") {
				r.Credentials = []Credential{{Kind: cloudlink.Desktop, SourceETag: fmt.Sprint("old", i)}}
			}
			users = append(users, r)
		}
		var listing []cloudlink.UserWithEndpoints
		for i := range rapid.IntRange(0, 6).Draw(t, "served") {
			u := served(fmt.Sprint("id", i), emails.Draw(t, "email"), extensions.Draw(t, "extension"))
			u.SIPEndpoints[0].Licence = rapid.SampledFrom([]cloudlink.Licence{cloudlink.LicenceOK,
				cloudlink.LicenceMissing}).Draw(t, "licence")
			u.SIPEndpoints = u.SIPEndpoints[:rapid.IntRange(0, 2).Draw(t, "endpoints")]
			listing = append(listing, u)
		}
		plan := NewPlan(users, Listing{PBXs: pbx(), Users: listing})
		if len(plan.Users) != len(users) || plan.Losing > plan.Having {
			t.Fatalf("%d plans for %d users, losing %d of %d", len(plan.Users), len(users), plan.Losing, plan.Having)
		}
		for i, u := range plan.Users {
			checkKinds(t, u)
			checkMatch(t, users[i], u, listing)
		}
		turned := slices.Clone(listing)
		slices.Reverse(turned)
		if again := NewPlan(users, Listing{PBXs: pbx(), Users: turned}); fmt.Sprint(again) != fmt.Sprint(plan) {
			t.Fatalf("the order of the listing matters:\n%v\n%v", plan, again)
		}
	})
}

func checkKinds(t *rapid.T, u UserPlan) {
	if len(u.Gaps) == 1 && u.Gaps[0].Kind == "" {
		if len(u.Fetch)+len(u.Keep) > 0 {
			t.Fatalf("a gap of the whole user, and a credential: %+v", u)
		}
		return
	}
	var kinds []cloudlink.DeviceKind
	for _, f := range u.Fetch {
		kinds = append(kinds, f.Endpoint.DeviceKind)
	}
	kinds = append(kinds, u.Keep...)
	for _, g := range u.Gaps {
		kinds = append(kinds, g.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile}) {
		t.Fatalf("kinds %v in %+v", kinds, u)
	}
}

func checkMatch(t *rapid.T, r Record, u UserPlan, listing []cloudlink.UserWithEndpoints) {
	for _, s := range listing {
		if s.UserID == u.CloudLinkUser && s.Email != r.User.Email &&
			(r.User.GivenExtension == "" || s.Extension != r.User.GivenExtension) {
			t.Fatalf("%s was matched to %+v", r.User.Email, s.User)
		}
	}
}

func TestBrake(t *testing.T) {
	for _, c := range []struct {
		having, losing int
		want           bool
	}{{100, 5, false}, {100, 10, false}, {100, 11, true}, {5, 5, false}, {6, 6, true}, {60, 6, false}, {59, 6, true}} {
		if got := (Plan{Having: c.having, Losing: c.losing}).Brake(); got != c.want {
			t.Errorf("losing %d of %d: brake %v", c.losing, c.having, got)
		}
	}
}

// Users of several services: each is at the first that knows his email, or else his extension; the same id at two services is
// two users.
func TestServices(t *testing.T) {
	one := Listing{PBXs: pbx(), Users: []cloudlink.UserWithEndpoints{served("1", "ann@x", "100"), served("2", "old@x", "200"), served("3", "dee@x", "400")}}
	two := Listing{PBXs: []cloudlink.PBX{{PBXID: "p", Realm: "second", Domain: "second"}},
		Users: []cloudlink.UserWithEndpoints{served("1", "bob@x", "200"), served("2", "ann@x", "900"), served("4", "", "300")}}
	moved := member("bob@x", "200") // whose extension somebody else has at the first service
	moved.User.CloudLinkUser = "2"
	twice := member("eve@x", "400")
	users := []Record{member("ann@x", ""), moved, member("cy@x", "300"), member("nobody@x", ""), twice, member("dee@x", "")}
	plan := NewPlan(users, one, two)
	for i, want := range []struct {
		service int
		user    string
		realm   string
		cause   Cause
	}{{0, "1", "r", ""}, {1, "1", "second", ""}, {1, "4", "second", ""}, {0, "", "", UnknownUser}, {0, "", "", ExtensionTaken}, {0, "3", "r", ""}} {
		u := plan.Users[i]
		if u.CloudLinkUser != want.user || (len(u.Gaps) > 0) != (want.cause != "") || len(u.Gaps) > 0 && u.Gaps[0].Cause != want.cause {
			t.Errorf("%s is %q, %+v; want %+v", users[i].User.Email, u.CloudLinkUser, u.Gaps, want)
		}
		for _, f := range u.Fetch {
			if f.Service != want.service || f.PBX.Realm != want.realm {
				t.Errorf("%s is fetched from service %d, realm %s", users[i].User.Email, f.Service, f.PBX.Realm)
			}
		}
		if want.user != "" && len(u.Fetch) != 2 {
			t.Errorf("%s: %+v", users[i].User.Email, u.Fetch)
		}
	}
	if none := NewPlan([]Record{member("ann@x", "")}); len(none.Users) != 1 || len(none.Users[0].Fetch) != 0 {
		t.Errorf("%+v", none)
	}
}

// While a service is away, whoever it may know better is left as he is: who has his credential from there, who it may know by email where
// another one knows his extension alone, and who nobody else knows.
func TestServiceIsAway(t *testing.T) {
	here := Listing{PBXs: pbx(), Users: []cloudlink.UserWithEndpoints{served("1", "ann@x", "100"), served("2", "bob@x", "200"), served("3", "", "300")}}
	having := func(email, user string) Record {
		r := member(email, "")
		r.User.CloudLinkUser = user
		ep := served("1", email, "100").SIPEndpoints[0]
		r.Credentials = []Credential{{Kind: ep.DeviceKind, EndpointID: ep.EndpointID, SIPUsername: ep.SIPUsername, Domain: pbx()[0].Domain}}
		return r
	}
	for name, c := range map[string]struct {
		user         Record
		first, after bool // whether something is planned for him while the one that is away goes before the other one, or comes after it
	}{
		"new, by email":                  {member("ann@x", ""), true, true},
		"new, by extension":              {member("cy@x", "300"), false, false},
		"new, unknown":                   {member("dee@x", ""), false, false},
		"has his credential from here":   {having("ann@x", "1"), true, true},
		"has it from elsewhere":          {having("bob@x", "1"), false, true},
		"has another one's id from here": {having("ann@x", "9"), false, true},
		"is not here any more":           {having("eve@x", "1"), false, false},
	} {
		for _, before := range []bool{true, false} {
			listings, want := []Listing{here, {Away: true}}, c.after
			if before {
				listings, want = []Listing{{Away: true}, here}, c.first
			}
			plan := NewPlan([]Record{c.user}, listings...)
			if got := len(plan.Users) == 1; got != want || plan.Losing != 0 || !got && plan.Having != 0 {
				t.Errorf("%s, away before it %v: %+v", name, before, plan)
			}
		}
	}
}
