package provisioning_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	rules "demarc/provisioning"
	"demarc/store"
	storeprovisioning "demarc/store/provisioning"
	"demarc/store/storetest"
	"demarc/telephony/digest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// source is a service in memory with one PBX.
type source struct {
	mu      sync.Mutex
	users   []cloudlink.UserWithEndpoints
	refuse  map[string]*cloudlink.Error // by endpoint id
	broken  error                       // listing fails on the second page
	down    error                       // credentials fail
	page    int
	fetched atomic.Int64
	version string
	realm   string // realm of the registrar, when it differs
}

func newSource(n int) *source {
	s := &source{refuse: map[string]*cloudlink.Error{}, page: 40, version: "1"}
	for i := range n {
		s.add(1000+i, fmt.Sprintf("user%d@corp.test", i))
	}
	return s
}

func (s *source) add(extension int, email string) {
	id := fmt.Sprint("cl-", extension)
	u := cloudlink.UserWithEndpoints{User: cloudlink.User{
		UserID: id, Email: email, Name: "User " + strconv.Itoa(extension), Extension: strconv.Itoa(extension),
	}}
	for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
		u.SIPEndpoints = append(u.SIPEndpoints, cloudlink.SIPEndpoint{
			EndpointID: id + "-" + string(kind), UserID: id, DeviceKind: kind, SIPUsername: u.Extension,
			Realm: "corp.test", Domain: "corp.test", PBXID: "pbx", Status: "active", Licence: cloudlink.LicenceOK, ETag: "1",
		})
	}
	s.users = append(s.users, u)
}

func (s *source) Name() string { return "first" }

func (s *source) PBXs(context.Context) ([]cloudlink.PBX, error) {
	return []cloudlink.PBX{{
		PBXID: "pbx", Type: "generic", Realm: "corp.test", Domain: "corp.test", SRTP: "required",
		RegistrationExpires: 600, KeepaliveSeconds: 30,
		Registrars: []cloudlink.Registrar{
			{Role: cloudlink.RoleInternal, Host: "pbx.corp.test", Port: 5061, Transport: "tls", Realm: s.realm},
			{Role: cloudlink.RoleSBC, Host: "sbc.corp.test", Port: 5061, Transport: "tls"},
		},
	}}, nil
}

func (s *source) Users(_ context.Context, next string) ([]cloudlink.UserWithEndpoints, string, error) {
	from := 0
	if next != "" {
		if s.broken != nil {
			return nil, "", s.broken
		}
		from, _ = strconv.Atoi(next)
	}
	to := min(from+s.page, len(s.users))
	if to == len(s.users) {
		return s.users[from:to], "", nil
	}
	return s.users[from:to], strconv.Itoa(to), nil
}

func (s *source) Credential(_ context.Context, userID, endpointID string) (cloudlink.Credential, error) {
	s.fetched.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return cloudlink.Credential{}, s.down
	}
	if e := s.refuse[endpointID]; e != nil {
		return cloudlink.Credential{}, e
	}
	user := strings.TrimPrefix(userID, "cl-")
	return cloudlink.Credential{Username: user, Realm: "corp.test", VoicemailNumber: "*97", Digests: []cloudlink.Digest{{
		Algorithm: "MD5", HA1: digest.MD5.Sum(user + ":corp.test:canary" + s.version),
	}}}, nil
}

type bench struct {
	testing.TB
	db    *store.DB
	store *storeprovisioning.Store
	svc   *rules.Service
	actor account.Member
	clock atomic.Int64 // milliseconds
	src   *source
}

func (b *bench) now() time.Time { return time.UnixMilli(b.clock.Load()).UTC() }

func (b *bench) sleep(d time.Duration) { b.clock.Add(d.Milliseconds()) }

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func newBench(t testing.TB, db *store.DB) *bench {
	b := &bench{TB: t, db: db, store: storeprovisioning.New(db, sealtest.New(t)), src: newSource(0)}
	b.clock.Store(time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC).UnixMilli())
	b.svc = rules.New(rules.Config{
		Store: b.store, Now: b.now, ServerURL: "https://demarc.test:8443/", CAPEM: []byte("PEM"), CADER: []byte("DER"),
	})
	b.actor = account.Member{Account: storetest.Account(t, db, "corp.test"), ID: "mem_admin", Role: account.Admin}
	return b
}

// users imports n users whom the source knows.
func (b *bench) users(n int) {
	b.Helper()
	b.src = newSource(n)
	var csv strings.Builder
	csv.WriteString("email,name\n")
	for i := range n {
		fmt.Fprintf(&csv, "user%d@corp.test,Name %04d\n", i, i)
	}
	report, err := b.svc.Import(b.Context(), b.actor, strings.NewReader(csv.String()), "users.csv", false)
	b.must(err)
	if report.Add != n || len(report.Errors) > 0 {
		b.Fatalf("import: %+v", report)
	}
}

func (b *bench) sync(opts ...rules.SyncOption) rules.SyncRun {
	b.Helper()
	b.sleep(time.Minute)
	run, err := b.svc.Sync(b.Context(), b.actor.Account, []rules.Source{b.src}, opts...)
	b.must(err)
	return run
}

func (b *bench) status(email string) rules.Status {
	b.Helper()
	page, err := b.svc.Statuses(b.Context(), b.actor.Account, rules.StatusFilter{Search: email})
	b.must(err)
	if len(page.Users) != 1 {
		b.Fatalf("%d users match %q", len(page.Users), email)
	}
	return page.Users[0]
}

// told returns the texts of a user's timeline, newest first.
func (b *bench) told(id rules.UserID) string {
	b.Helper()
	entries, err := b.svc.Timeline(b.Context(), b.actor.Account, id, 0)
	b.must(err)
	var lines []string
	for _, e := range entries {
		lines = append(lines, string(e.Kind)+": "+e.Text)
	}
	return strings.Join(lines, "\n")
}

func TestAddAndRemoveUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		u, err := b.svc.AddUser(t.Context(), b.actor, rules.NewUser{Email: " Ann@Corp.test ", Name: "Ann", Extension: "1001"})
		b.must(err)
		if u.Email != "ann@corp.test" || u.Member == "" || u.PendingReason == "" {
			t.Fatalf("added %+v", u)
		}
		for _, n := range []rules.NewUser{{Email: "ann@corp.test"}, {Email: "bob@corp.test", Extension: "1001"}} {
			if _, err := b.svc.AddUser(t.Context(), b.actor, n); !errors.Is(err, rules.ErrConflict) {
				t.Errorf("AddUser(%+v): %v", n, err)
			}
		}
		for _, n := range []rules.NewUser{{}, {Email: "no"}, {Email: "a@b\x00"}, {Email: "a@b.c", Extension: "=1+1;"}} {
			if _, err := b.svc.AddUser(t.Context(), b.actor, n); !errors.Is(err, rules.ErrInvalid) {
				t.Errorf("AddUser(%+v): %v", n, err)
			}
		}
		st := b.status("ann")
		if st.State != rules.Pending || !strings.Contains(st.Text, "the turn of demarc") {
			t.Fatalf("status %+v", st)
		}
		stranger := b.actor
		stranger.Account = storetest.Account(t, db, "other.test")
		if err := b.svc.RemoveUser(t.Context(), stranger, u.ID); !errors.Is(err, rules.ErrNotFound) {
			t.Fatalf("another account removes the user: %v", err)
		}
		b.must(b.svc.RemoveUser(t.Context(), b.actor, u.ID))
		if _, err := b.svc.Status(t.Context(), b.actor.Account, u.ID); !errors.Is(err, rules.ErrNotFound) {
			t.Fatalf("after removal: %v", err)
		}
		if _, err := b.svc.AddUser(t.Context(), b.actor, rules.NewUser{Email: "ann@corp.test"}); err != nil {
			t.Fatalf("a member who comes back: %v", err)
		}
	})
}

func TestImport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		file := "\ufeffE-Mail;Display Name;Ext\nann@corp.test;\"Ann; A.\";+49 30 1\nbob@corp.test;Bob;1002\n"
		dry := func(text string, dryRun bool) rules.ImportReport {
			t.Helper()
			r, err := b.svc.Import(t.Context(), b.actor, strings.NewReader(text), "u.csv", dryRun)
			b.must(err)
			return r
		}
		if r := dry(file, true); r.Add != 2 || !r.DryRun || len(r.Errors) != 0 {
			t.Fatalf("dry run %+v", r)
		}
		if page, err := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{}); err != nil ||
			len(page.Users) != 0 {
			t.Fatalf("the dry run wrote: %+v %v", page, err)
		}
		if r := dry(file, false); r.Add != 2 {
			t.Fatalf("import %+v", r)
		}
		if r := dry(file, false); r.Add != 0 || r.Update != 0 || r.Unchanged != 2 {
			t.Fatalf("again %+v", r)
		}
		if st := b.status("ann"); st.User.Name != "Ann; A." || st.User.Extension != "+49 30 1" {
			t.Fatalf("imported %+v", st.User)
		}
		bad := "email,ext\ncarl@corp.test,7\nnobody,8\n\ncarl@corp.test,9\ndora@corp.test,1002\n"
		r := dry(bad, false)
		if len(r.Errors) != 3 || r.Errors[0].Row != 3 || r.Errors[1].Row != 5 || r.Errors[2].Row != 6 {
			t.Fatalf("errors %+v", r.Errors)
		}
		if page, _ := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{Search: "carl"}); len(page.Users) != 0 {
			t.Fatal("a file with errors was applied in part")
		}
		if r := dry("email,name\nbob@corp.test,Robert\n", false); r.Update != 1 {
			t.Fatalf("update %+v", r)
		}
		if st := b.status("robert"); st.User.Extension != "1002" {
			t.Fatalf("an empty cell cleared the extension: %+v", st.User)
		}
	})
}

func TestSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(120)
		run := b.sync()
		if run.Looked != 120 || run.Changed != 120 || run.Pending != 0 || b.src.fetched.Load() != 240 {
			t.Fatalf("run %+v, %d fetched", run, b.src.fetched.Load())
		}
		st := b.status("user7@")
		if st.State != rules.Inactive || st.User.Extension != "1007" || st.User.CloudLinkUser != "cl-1007" ||
			!strings.HasPrefix(st.Text, "Never registered") {
			t.Fatalf("status %+v", st)
		}
		if run := b.sync(); run.Changed != 0 || b.src.fetched.Load() != 240 {
			t.Fatalf("an unchanged service: %+v, %d fetched", run, b.src.fetched.Load())
		}
		b.src.users[7].SIPEndpoints[0].ETag = "2"
		b.src.version = "2"
		if run := b.sync(); run.Changed != 1 || b.src.fetched.Load() != 241 {
			t.Fatalf("one new credential: %+v, %d fetched", run, b.src.fetched.Load())
		}
		if told := b.told(st.User.ID); strings.Count(told, "credential_synced") != 3 ||
			!strings.Contains(told, "changed at the PBX") {
			t.Fatalf("timeline:\n%s", told)
		}
		runs, err := b.svc.SyncRuns(t.Context(), b.actor.Account, 10)
		b.must(err)
		if len(runs) != 3 || runs[0].EndedAt.IsZero() || runs[2].Changed != 120 {
			t.Fatalf("runs %+v", runs)
		}
	})
}

func TestSyncPendingReasons(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(6)
		for i := range b.src.users[0].SIPEndpoints {
			b.src.users[0].SIPEndpoints[i].Licence = cloudlink.LicenceMissing
		}
		b.src.users[1].SIPEndpoints[0].Status, b.src.users[1].SIPEndpoints[1].Status = "disabled", "disabled"
		for _, ep := range b.src.users[2].SIPEndpoints {
			b.src.refuse[ep.EndpointID] = &cloudlink.Error{Status: 403, Code: "x", Message: "no", CorrelationID: "corr-7"}
		}
		b.src.users[3].Email = "else@corp.test"
		b.src.add(1999, "user4@corp.test")
		b.src.users[5].SIPEndpoints = nil
		run := b.sync()
		if run.Pending != 6 || run.Failed != 2 {
			t.Fatalf("run %+v", run)
		}
		want := []struct{ text, turn string }{
			{"no licence", "the PBX admin"}, {"switched off", "the PBX admin"}, {"corr-7", "the CloudLink admin"},
			{"knows no user", "the CloudLink admin"}, {"several users", "the CloudLink admin"},
			{"no SIP endpoint", "the PBX admin"},
		}
		for i, w := range want {
			st := b.status(fmt.Sprintf("user%d@", i))
			if st.State != rules.Pending || !strings.Contains(st.Text, w.text) || !strings.Contains(st.Text, w.turn) {
				t.Errorf("user %d: %v %q, want %q and %q", i, st.State, st.Text, w.text, w.turn)
			}
		}
		first := b.status("user0@")
		b.sync()
		again := b.status("user0@")
		if again.User.PendingSince != first.User.PendingSince || again.Changed != first.Changed {
			t.Errorf("the wait began anew: %v, %v", first.User.PendingSince, again.User.PendingSince)
		}
		if told := b.told(first.User.ID); strings.Count(told, "sync_failed") != 2 {
			t.Errorf("told each time:\n%s", told)
		}
	})
}

func TestSyncNeverTakesOnAPartialRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(50)
		b.sync()
		b.src.broken = errors.New("page 2 fails")
		b.src.users = b.src.users[:45]
		run, err := b.svc.Sync(t.Context(), b.actor.Account, []rules.Source{b.src})
		if err == nil || run.Error == "" || run.EndedAt.IsZero() {
			t.Fatalf("a broken listing: %+v %v", run, err)
		}
		page, err := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{})
		b.must(err)
		if page.Counts[rules.Inactive] != 50 {
			t.Fatalf("counts %v", page.Counts)
		}
		b.src.broken = nil
		if run := b.sync(); run.Pending != 5 { // 5 of 50 is allowed
			t.Fatalf("run %+v", run)
		}
	})
}

func TestMassLossBrake(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(20)
		b.sync()
		b.src.users = b.src.users[:10]
		b.src.users[0].SIPEndpoints[0].ETag = "2"
		run, err := b.svc.Sync(t.Context(), b.actor.Account, []rules.Source{b.src})
		if !errors.Is(err, rules.ErrMassLoss) || !strings.Contains(run.Error, "10 of 20") {
			t.Fatalf("the brake: %+v %v", run, err)
		}
		if st := b.status("user19@"); st.State != rules.Inactive {
			t.Fatalf("state %v", st.State)
		}
		if run := b.sync(rules.AllowLoss()); run.Pending != 10 {
			t.Fatalf("allowed: %+v", run)
		}
	})
}

func TestSyncStopsAndGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(5)
		b.src.down = &cloudlink.Error{Status: 503, Code: "busy", Message: "later"}
		if _, err := b.svc.Sync(t.Context(), b.actor.Account, []rules.Source{b.src}); err == nil {
			t.Fatal("a service that is down: no error")
		}
		if st := b.status("user1@"); !strings.Contains(st.Text, "No sync has looked") {
			t.Fatalf("a failing service was taken for a refusal: %q", st.Text)
		}
		b.src.down = nil
		lease, err := b.store.BeginSync(t.Context(), rules.SyncRun{Account: b.actor.Account, ID: "run_x",
			StartedAt: b.now()}, time.Minute)
		b.must(err)
		if _, err := b.svc.Sync(t.Context(), b.actor.Account, []rules.Source{b.src}); !errors.Is(err, rules.ErrBusy) {
			t.Fatalf("two syncs: %v", err)
		}
		b.must(b.store.RenewSync(t.Context(), lease, -time.Minute)) // as if the process had died
		if run := b.sync(); run.Pending != 0 {
			t.Fatalf("run %+v", run)
		}
		err = b.store.ApplyPage(t.Context(), lease, nil, func([]*rules.Record) rules.SyncRun { return rules.SyncRun{} })
		if !errors.Is(err, rules.ErrStale) {
			t.Fatalf("the dead process writes: %v", err)
		}
		runs, err := b.svc.SyncRuns(t.Context(), b.actor.Account, 10)
		b.must(err)
		for _, r := range runs {
			if r.EndedAt.IsZero() {
				t.Errorf("run %s looks as if it were going on", r.ID)
			}
		}
	})
}

func TestRealmWarning(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(1)
		b.src.realm = "pbx-inside"
		b.sync()
		b.sync()
		if told := b.told(b.status("user0@").User.ID); strings.Count(told, "warning: ") != 2 ||
			!strings.Contains(told, `realm "pbx-inside"`) {
			t.Fatalf("timeline:\n%s", told)
		}
	})
}

func BenchmarkSync10000(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			open := storetest.SQLite
			if kind == "postgres" {
				open = storetest.PostgreSQL
			}
			for b.Loop() {
				b.StopTimer()
				f := newBench(b, open(b))
				f.users(10_000)
				f.src.page = 100
				b.StartTimer()
				f.sync()
			}
		})
	}
}
