package provisioning_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
	"demarc/telephony"
)

func (b *bench) enrol(email string, kind cloudlink.DeviceKind) rules.Enrolment {
	b.Helper()
	code, err := b.svc.IssueCode(b.Context(), b.actor, b.status(email).User.ID, kind)
	b.must(err)
	e, err := b.svc.Enrol(b.Context(), code.Code, "Laptop")
	b.must(err)
	return e
}

func TestEnrol(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(2)
		b.sync()
		user := b.status("user0@").User.ID
		code, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Desktop)
		b.must(err)
		text := code.Code.Reveal()
		if len(text) != 14 || text[4] != '-' || text[9] != '-' ||
			!strings.HasPrefix(code.Link.Reveal(), "demarc://demarc.test:8443/enrol?ca=REVS&code="+text) {
			t.Fatalf("code %q, link %q", text, code.Link.Reveal())
		}
		var won atomic.Int64
		var group sync.WaitGroup
		var enrolled rules.Enrolment
		for range 20 {
			group.Go(func() {
				e, err := b.svc.Enrol(context.Background(), account.Secret(strings.ToLower(text)), "Laptop\x00")
				if err == nil {
					won.Add(1)
					enrolled = e
				} else if !errors.Is(err, rules.ErrExpired) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 20 used the code", won.Load())
		}
		d, err := b.svc.Authenticate(t.Context(), enrolled.Token)
		b.must(err)
		if d.ID != enrolled.Device.ID || d.User != user || d.State != rules.Inactive ||
			!strings.HasPrefix(d.Instance, "urn:uuid:") {
			t.Fatalf("device %+v", d)
		}
		for _, token := range []account.Secret{"", "guess", enrolled.Token + "x"} {
			if _, err := b.svc.Authenticate(t.Context(), token); !errors.Is(err, rules.ErrNotFound) {
				t.Errorf("token %q: %v", token.Reveal(), err)
			}
		}
		late, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Mobile)
		b.must(err)
		b.sleep(25 * time.Hour)
		if _, err := b.svc.Enrol(t.Context(), late.Code, "x"); !errors.Is(err, rules.ErrExpired) {
			t.Fatalf("an old code: %v", err)
		}
		if _, err := b.svc.IssueCode(t.Context(), b.actor, "usr_none", cloudlink.Mobile); !errors.Is(err, rules.ErrNotFound) {
			t.Fatalf("a code for nobody: %v", err)
		}
		b.must(b.svc.Revoke(t.Context(), b.actor, d.ID))
		if _, err := b.svc.Authenticate(t.Context(), enrolled.Token); !errors.Is(err, rules.ErrNotFound) {
			t.Fatalf("after revocation: %v", err)
		}
	})
}

func TestHandout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(1)
		e := b.enrol("user0@", cloudlink.Mobile)
		refuse, has := error(nil), "" // what the caller says
		asks := rules.Fetching{Token: e.Token, Known: func(etag string) bool { return etag == has },
			May: func(d rules.Device) error {
				if d.ID != e.Device.ID || d.Account != b.actor.Account {
					t.Errorf("another device: %+v", d)
				}
				return refuse
			}}
		_, err := b.svc.Credential(t.Context(), asks)
		var pending *rules.PendingError
		if !errors.As(err, &pending) || !strings.Contains(pending.Reason, "turn of") {
			t.Fatalf("before the sync: %v", err)
		}
		b.sync()
		h, err := b.svc.Credential(t.Context(), asks)
		b.must(err)
		c := h.Credential
		if c.SIPUsername != "1000" || len(c.Hashes) != 1 || len(c.Hashes[0].HA1.Reveal()) != 32 ||
			c.VoicemailNumber != "*97" || h.User.Name != "Name 0000" || string(h.CAPEM) != "PEM" {
			t.Fatalf("handout %+v", h)
		}
		if len(c.Registrars) != 1 || c.Registrars[0].Role != cloudlink.RoleSBC {
			t.Fatalf("a mobile goes inside: %+v", c.Registrars)
		}
		again, err := b.svc.Credential(t.Context(), asks)
		b.must(err)
		if again.ETag != h.ETag || !slices.Equal(again.Credential.Hashes, c.Hashes) {
			t.Fatal("the ETag or the hashes changed by themselves")
		}
		has = h.ETag
		if again, err = b.svc.Credential(t.Context(), asks); err != nil || again.ETag != h.ETag || again.Credential.Hashes != nil {
			t.Fatalf("who has it gets %+v, %v", again, err)
		}
		b.src.version = "2"
		b.src.users[0].SIPEndpoints[1].ETag = "2"
		b.sync()
		fresh, err := b.svc.Credential(t.Context(), asks)
		b.must(err)
		if fresh.ETag == h.ETag || fresh.Credential.Hashes[0].HA1.Equal(c.Hashes[0].HA1) {
			t.Fatal("a rotated credential has the same ETag or HA1")
		}
		if _, err := b.svc.Credential(t.Context(), rules.Fetching{Token: "of nobody"}); !errors.Is(err, rules.ErrNotFound) {
			t.Fatalf("a token of nobody: %v", err)
		}
		refuse = errors.New("the policy refuses")
		if h, err := b.svc.Credential(t.Context(), asks); !errors.Is(err, refuse) || h.Credential.SIPUsername != "" {
			t.Fatalf("refused: %+v, %v", h, err)
		}
		if told := b.told(e.Device.User); strings.Count(told, "fetched: ") != 2 {
			t.Fatalf("timeline:\n%s", told)
		}
	})
}

func TestDocument(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(1)
		user := b.status("user0@").User.ID
		link, err := b.svc.IssueDocumentLink(t.Context(), b.actor, user, cloudlink.Desktop, "linphone")
		b.must(err)
		token := account.Secret(strings.TrimPrefix(link.URL.Reveal(), "https://demarc.test:8443/provision/"))
		if _, err := b.svc.Document(t.Context(), token); !errors.Is(err, rules.ErrPending) {
			t.Fatalf("before the sync: %v", err)
		}
		b.sync()
		doc, err := b.svc.Document(t.Context(), token)
		b.must(err)
		if _, err := b.svc.Document(t.Context(), token); !errors.Is(err, rules.ErrExpired) {
			t.Fatalf("a spent link: %v", err)
		}
		st := b.status("user0@")
		if len(st.Devices) != 1 || st.Devices[0].Origin != rules.OriginDocument {
			t.Fatalf("devices %+v", st.Devices)
		}
		var parsed struct {
			Sections []struct {
				Name    string `xml:"name,attr"`
				Entries []struct {
					Name  string `xml:"name,attr"`
					Value string `xml:",chardata"`
				} `xml:"entry"`
			} `xml:"section"`
		}
		b.must(xml.Unmarshal(doc.Body, &parsed))
		got := map[string]string{}
		for _, s := range parsed.Sections {
			for _, e := range s.Entries {
				got[s.Name+"/"+e.Name] = e.Value
			}
		}
		want := map[string]string{
			"misc/uuid": strings.TrimPrefix(st.Devices[0].Instance, "urn:uuid:"), "misc/config-uri": "",
			"proxy_0/reg_proxy":     "<sip:sbc.corp.test:5061;transport=tls>",
			"proxy_0/reg_identity":  `"Name 0000" <sip:1000@corp.test>`,
			"auth_info_0/algorithm": "MD5", "auth_info_0/realm": "corp.test", "auth_info_0/username": "1000",
			"sip/media_encryption_mandatory": "1", "demarc/ca": "PEM",
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s = %q, want %q", key, got[key], value)
			}
		}
		if len(got["auth_info_0/ha1"]) != 32 || strings.Contains(string(doc.Body), "passwd") {
			t.Errorf("no HA1, or a password:\n%s", doc.Body)
		}
		if _, ok := got["misc/config-uri"]; !ok {
			t.Error("Linphone would fetch the spent link again at each start")
		}
		f := &feed{}
		registered := b.change(telephony.BindingRegistered, "urn:uuid:linphones-own")
		registered.Contact = "sip:1000@192.0.2.7:5060;transport=tls;" + got["proxy_0/contact_uri_parameters"]
		f.add(registered)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = b.svc.Follow(ctx, f) })
		st = b.eventually("user0@", func(st rules.Status) bool { return st.State == rules.Registered })
		cancel()
		group.Wait()
		if len(st.Devices) != 1 || st.Devices[0].State != rules.Registered {
			t.Errorf("the document's device was not recognised by its contact: %+v", st.Devices)
		}
		if _, err := b.svc.IssueDocumentLink(t.Context(), b.actor, user, cloudlink.Desktop, "other"); !errors.Is(err,
			rules.ErrInvalid) {
			t.Errorf("a document for an unknown app: %v", err)
		}
	})
}

func TestReport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(1)
		b.sync()
		e := b.enrol("user0@", cloudlink.Desktop)
		report := func(r rules.RegistrationReport) rules.Status {
			t.Helper()
			b.sleep(time.Second)
			b.must(b.svc.Report(t.Context(), b.actor.Account, e.Device.ID, r))
			return b.status("user0@")
		}
		if st := report(rules.RegistrationReport{Outcome: rules.ReportRegistered, Code: 200}); st.State != rules.Registered ||
			st.Device != "Laptop" {
			t.Fatalf("registered: %+v", st)
		}
		if st := report(failed(0, rules.CauseTLSUntrusted)); st.State != rules.SIPError ||
			st.SIPCode != 0 || !strings.Contains(st.Text, "CA") {
			t.Fatalf("TLS: %+v", st)
		}
		if st := report(failed(401, rules.CauseSIP)); st.SIPCode != 401 ||
			!strings.Contains(st.Text, "Sync this user") {
			t.Fatalf("401: %+v", st)
		}
		if st := report(rules.RegistrationReport{Outcome: rules.ReportStopped}); st.State != rules.Inactive ||
			!strings.Contains(st.Text, "because the softphone was stopped") {
			t.Fatalf("ended: %+v", st)
		}
		for _, bad := range []rules.RegistrationReport{
			failed(99, ""), {}, {Outcome: "odd"}, {Outcome: rules.ReportRegistered, Expires: -1},
			{Outcome: rules.ReportRegistered, Age: -1},
		} {
			if err := b.svc.Report(t.Context(), b.actor.Account, e.Device.ID, bad); !errors.Is(err, rules.ErrInvalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		page, err := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{States: []rules.SyncState{"odd"}})
		if !errors.Is(err, rules.ErrInvalid) {
			t.Fatalf("an unknown state: %+v %v", page, err)
		}
	})
}

func TestStatusesPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(25)
		var names []string
		f := rules.StatusFilter{Limit: 10, Search: "NAME", States: []rules.SyncState{rules.Pending}}
		for {
			page, err := b.svc.Statuses(t.Context(), b.actor.Account, f)
			b.must(err)
			for _, st := range page.Users {
				names = append(names, st.User.Name)
			}
			if page.Counts[rules.Pending] != 25 {
				t.Fatalf("counts %v", page.Counts)
			}
			if f.After = page.Next; f.After == "" {
				break
			}
		}
		if len(names) != 25 || names[0] != "Name 0000" || names[24] != "Name 0024" {
			t.Fatalf("%d names: %v", len(names), names)
		}
		page, err := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{Search: "%"})
		if err != nil || len(page.Users) != 0 {
			t.Fatalf("a wildcard in the search: %d users, %v", len(page.Users), err)
		}
		_, err = b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{After: "?"})
		if !errors.Is(err, rules.ErrInvalid) {
			t.Fatalf("a bad page mark: %v", err)
		}
	})
}

// feed is a registrar's change feed in memory.
type feed struct {
	mu   sync.Mutex
	rows []telephony.RegistrationChange
}

func (f *feed) add(ch telephony.RegistrationChange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch.Node, ch.N = "n1", int64(len(f.rows)+1)
	f.rows = append(f.rows, ch)
}

func (f *feed) Nodes(context.Context) ([]string, error) { return []string{"n1"}, nil }

func (f *feed) Since(_ context.Context, _ string, n int64, limit int) ([]telephony.RegistrationChange, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]telephony.RegistrationChange(nil), f.rows[n:min(int(n)+limit, len(f.rows))]...), nil
}

func (b *bench) change(kind telephony.RegistrationChangeKind, instance string) telephony.RegistrationChange {
	b.sleep(time.Second)
	return telephony.RegistrationChange{
		Account: b.actor.Account, At: b.now(), Kind: kind, AoR: telephony.AoR{User: "1000", Domain: "Corp.test"},
		Instance: instance, Contact: "sip:1000@192.0.2.7:5060;ob", UserAgent: "baresip", Transport: telephony.TLS,
		Remote: "192.0.2.7:40000",
	}
}

// eventually waits until a user shows the state; changes must arrive within a second on an idle machine.
func (b *bench) eventually(email string, want func(rules.Status) bool) rules.Status {
	b.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		st := b.status(email)
		if want(st) {
			return st
		}
		if time.Now().After(deadline) {
			b.Fatalf("still %+v\n%s", st, b.told(st.User.ID))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestFollow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(2)
		b.sync()
		e := b.enrol("user0@", cloudlink.Desktop)
		f := &feed{}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 2 { // as two processes
			group.Go(func() {
				if err := b.svc.Follow(ctx, f); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		defer group.Wait()
		defer cancel()
		is := func(s rules.SyncState) func(rules.Status) bool {
			return func(st rules.Status) bool { return st.State == s }
		}

		f.add(b.change(telephony.BindingRegistered, e.Device.Instance))
		if st := b.eventually("user0@", is(rules.Registered)); st.Device != "Laptop" || len(st.Devices) != 1 ||
			st.Devices[0].Remote != "192.0.2.7:40000" {
			t.Fatalf("registered as %+v", st)
		}
		refused := b.change(telephony.RegisterRefused, "")
		refused.Code, refused.Text = 401, "wrong"
		f.add(refused) // another phone: told, but the registered device stays
		f.add(b.change(telephony.BindingFlowClosed, e.Device.Instance))
		st := b.eventually("user0@", is(rules.Inactive))
		if !strings.Contains(st.Text, "connection closed") {
			t.Fatalf("inactive: %q", st.Text)
		}
		refused.At = b.now()
		f.add(refused) // now it counts for the only device
		st = b.eventually("user0@", is(rules.SIPError))
		if st.SIPCode != 401 || st.Text != "wrong" {
			t.Fatalf("error: %+v", st)
		}
		stranger := b.change(telephony.BindingRegistered, e.Device.Instance)
		stranger.AoR.User = "4711"
		f.add(stranger)
		f.add(b.change(telephony.BindingRegistered, e.Device.Instance))
		b.eventually("user0@", is(rules.Registered))
		f.add(b.change(telephony.BindingUnregistered, e.Device.Instance))
		b.eventually("user0@", is(rules.Inactive))

		malformed := b.change(telephony.PushMalformed, e.Device.Instance)
		malformed.Text = "A push cannot wake this phone."
		f.add(b.change(telephony.BindingRegistered, e.Device.Instance))
		f.add(malformed)
		guessed := b.change(telephony.GuessesSpent, "")
		guessed.Text = "requests from 192.0.2.66 get no answer for a while."
		f.add(guessed) // and changes nothing of the phone
		f.add(b.change(telephony.BindingAsleep, e.Device.Instance))
		st = b.eventually("user0@", func(st rules.Status) bool { return strings.HasPrefix(st.Text, "Asleep since") })
		if told := b.told(st.User.ID); !strings.Contains(told, "A phone: "+guessed.Text) {
			t.Error(told)
		}
		if st.State != rules.Inactive || !strings.Contains(b.told(st.User.ID), "A push cannot wake this phone.") {
			t.Fatalf("asleep: %+v", st)
		}
		f.add(b.change(telephony.BindingExpired, e.Device.Instance))
		b.eventually("user0@", func(st rules.Status) bool { return strings.Contains(st.Text, "ran out") })

		stranded := b.change(telephony.BindingFlowClosed, e.Device.Instance)
		stranded.Text = "its connection ended with the node n2, which stopped or failed"
		f.add(b.change(telephony.BindingRegistered, e.Device.Instance))
		b.eventually("user0@", is(rules.Registered))
		f.add(stranded)
		st = b.eventually("user0@", is(rules.Inactive))
		if !strings.Contains(st.Text, "the node n2") || !strings.Contains(b.told(st.User.ID), stranded.Text) {
			t.Fatalf("with its node: %+v", st)
		}

		f.add(b.change(telephony.BindingRegistered, "")) // a phone that was never enrolled
		st = b.eventually("user0@", is(rules.Registered))
		if st.Device != "baresip" || len(st.Devices) != 2 || st.Devices[1].Instance != "1000@192.0.2.7:5060" {
			t.Fatalf("observed %+v", st)
		}
		for i := range 15 { // each under another instance
			f.add(b.change(telephony.BindingRegistered, fmt.Sprint("urn:x:", i)))
			f.add(b.change(telephony.BindingExpired, fmt.Sprint("urn:x:", i)))
		}
		st = b.eventually("user0@", func(st rules.Status) bool {
			last := st.Devices[len(st.Devices)-1]
			return last.Instance == "urn:x:14" && last.State == rules.Inactive
		})
		if len(st.Devices) != 11 { // the enrolled one and ten observed ones
			t.Fatalf("%d devices", len(st.Devices))
		}
		if st.State != rules.Registered || st.Device != "baresip" {
			t.Fatalf("old observed devices pushed out the registered one: %+v", st)
		}
		if st := b.status("user1@"); len(st.Devices) != 0 || st.State != rules.Inactive {
			t.Fatalf("the other user: %+v", st)
		}
	})
}

func TestRemovedLicenceMakesDevicesPending(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(1)
		b.sync()
		e := b.enrol("user0@", cloudlink.Desktop)
		b.must(b.svc.Report(t.Context(), b.actor.Account, e.Device.ID, rules.RegistrationReport{
			Outcome: rules.ReportRegistered,
		}))
		b.src.users[0].SIPEndpoints[0].Licence = cloudlink.LicenceMissing
		b.sync()
		st := b.status("user0@")
		if st.State != rules.Pending || !strings.Contains(st.Text, "no licence for the desktop") {
			t.Fatalf("status %+v", st)
		}
		b.src.users[0].SIPEndpoints[0].Licence = cloudlink.LicenceOK
		b.sync()
		if st := b.status("user0@"); st.State != rules.Inactive {
			t.Fatalf("status %+v", st)
		}
	})
}
