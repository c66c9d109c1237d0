package e2e_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/gateway"
	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/store/storetest"
	"demarc/test/persontest"
)

// patience bounds every wait. What is waited for takes about a second at most; a busy machine is no failure.
const patience = 20 * time.Second

// The people of the PBX and their clear passwords.
const (
	domain = "pbx.test"
	users  = `pbx:
  domain: pbx.test
  realm: pbx.test
  registration_expires: 120
users:
  - {extension: "1001", name: Ada Lovelace, email: ada@pbx.test, password: canary-analytical-engine}
  - {extension: "1002", name: Grace Hopper, email: grace@pbx.test, password: canary-nanoseconds-of-wire}
`
	people = "email,name,extension\nada@pbx.test,Ada Lovelace,1001\ngrace@pbx.test,Grace Hopper,1002\n"
)

// databases are where each test of the main path runs.
func databases(t *testing.T, test func(t *testing.T, storeURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, storetest.PostgreSQLURL(t)) })
}

// site is a gateway under test and the account's owner at work in it.
type site struct {
	t       *testing.T
	cfg     config.Config
	now     func() time.Time
	log     *buffer
	gateway *gateway.Gateway // nil while it is stopped
	owner   *persontest.Person
	ids     map[string]string // user id by extension
}

// newSite starts all roles on ports that the kernel chooses, unless a change of the configuration says otherwise.
func newSite(t *testing.T, change ...func(*config.Config)) *site {
	t.Helper()
	s := prepareSite(t, change...)
	s.start()
	return s
}

func prepareSite(t *testing.T, change ...func(*config.Config)) *site {
	t.Helper()
	dir := shortDir(t)
	c := config.Default()
	c.DataDir = filepath.Join(dir, "data")
	c.HTTP.Listen, c.HTTP.Metrics, c.CloudLink.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	for i := range c.Telephony.Listeners {
		c.Telephony.Listeners[i].Address = "127.0.0.1:0"
	}
	c.Telephony.Directory = write(t, dir, "users.yaml", users)
	for _, f := range change {
		f(&c)
	}
	s := &site{t: t, cfg: c, log: new(buffer), ids: map[string]string{}}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("the gateway logged:\n%s", s.log)
		}
	})
	return s
}

// start starts the gateway, a second time on the same ports and data.
func (s *site) start() {
	s.t.Helper()
	if err := s.tryStart(); err != nil {
		s.t.Fatal(err)
	}
	s.pin()
}

func (s *site) tryStart() error {
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g := gateway.New(gateway.Config{Config: s.cfg, Log: log, Version: "e2e", Now: s.now})
	err := g.Start(s.t.Context())
	if err == nil {
		s.gateway = g
	}
	return err
}

// pin writes the ports that the kernel chose into the configuration.
func (s *site) pin() {
	if u := s.gateway.URL(); u != "" && s.cfg.HTTP.PublicURL == "" {
		s.cfg.HTTP.Listen = "127.0.0.1:" + port(s.t, u)
	}
	if u := s.gateway.CloudLinkURL(); u != "" && s.cfg.CloudLink.PublicURL == "" {
		s.cfg.CloudLink.Listen = "127.0.0.1:" + port(s.t, u)
	}
	if s.cfg.Has(config.RoleTelephony) {
		for i, l := range s.cfg.Telephony.Listeners {
			s.cfg.Telephony.Listeners[i].Address = s.gateway.SIPAddress(l.Name)
		}
	}
}

// stop ends the gateway gracefully, within patience and without a complaint.
func (s *site) stop() {
	s.t.Helper()
	if s.gateway == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.gateway.Stop(ctx); err != nil {
		s.t.Errorf("the gateway does not stop well: %v", err)
	}
	s.gateway = nil
}

// signIn lets the owner in with a one-time link.
func (s *site) signIn() {
	s.t.Helper()
	s.owner = persontest.New(s.t, s.gateway.URL(), s.gateway.CAPEM())
	s.owner.SignIn(s.signInLink())
}

func (s *site) signInLink() string {
	s.t.Helper()
	link, err := s.gateway.SignInLink(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return link.Reveal()
}

// link installs the app, makes a connector, and walks through sign-in and consent at the service.
func (s *site) link() {
	s.t.Helper()
	c := s.connector()
	var start struct{ URL string }
	s.owner.Call(http.MethodPost, "/v1/connectors/"+c.ID+"/connect", nil, &start)
	email, password := s.serviceAdmin()
	s.owner.Open(start.URL)
	s.owner.Press("sign-in", map[string]string{"email": email, "password": password.Reveal()})
	s.owner.Press("approve", nil)
	s.owner.Call(http.MethodGet, "/v1/connectors/"+c.ID, nil, &c)
	if c.State != "linked" {
		s.t.Fatalf("after consent the connector is %+v", c)
	}
}

type connector struct{ ID, State, Reason string }

// connector installs the app and makes a connector to the service.
func (s *site) connector() connector {
	s.t.Helper()
	var c connector
	s.owner.Call(http.MethodPost, "/v1/app", nil, nil)
	s.owner.Call(http.MethodPost, "/v1/connectors",
		map[string]string{"name": "Head office", "baseUrl": s.gateway.CloudLinkURL()}, &c)
	return c
}

func (s *site) serviceAdmin() (string, account.Secret) {
	s.t.Helper()
	email, password, err := s.gateway.CloudLinkAdmin()
	if err != nil {
		s.t.Fatal(err)
	}
	return email, password
}

type importReport struct {
	DryRun bool
	Add    int
	Errors []struct{ Location, Message string }
}

// importPeople puts everybody on the integration, after a dry run that must change nothing.
func (s *site) importPeople() {
	s.t.Helper()
	for _, dryRun := range []string{"true", "false"} {
		if n := len(s.list().Users); n != 0 {
			s.t.Fatalf("before the import was applied there are %d users", n)
		}
		var r importReport
		s.owner.Call(http.MethodPost, "/v1/users/import?dryRun="+dryRun, []byte(people), &r)
		if r.Add != 2 || len(r.Errors) > 0 {
			s.t.Fatalf("the import says %+v", r)
		}
	}
	for _, u := range s.list().Users {
		s.ids[u.Extension] = u.ID
	}
}

func (s *site) sync() {
	s.t.Helper()
	var run struct {
		Error                            string
		Looked, Changed, Pending, Failed int
	}
	s.owner.Call(http.MethodPost, "/v1/sync", nil, &run)
	if run.Error != "" || run.Looked != len(s.ids) || run.Pending+run.Failed > 0 {
		s.t.Fatalf("the sync says %+v", run)
	}
}

// ready signs in, links, imports and syncs.
func (s *site) ready() {
	s.t.Helper()
	s.signIn()
	s.link()
	s.importPeople()
	s.sync()
}

type user struct {
	ID, Name, Extension, State, Text, Device string
	SIPCode                                  int
	Changed                                  time.Time
	Devices                                  []device
	Timeline                                 []struct{ Kind, Text string }
}

type device struct {
	ID, Name, State, Text, UserAgent, Transport string
	SIPCode                                     int
	LastRegistered                              time.Time
}

type userList struct {
	Users  []user
	Counts map[string]int
}

func (s *site) list() userList {
	s.t.Helper()
	var all userList
	s.owner.Call(http.MethodGet, "/v1/users", nil, &all)
	return all
}

// status is what support staff see of an extension's user.
func (s *site) status(extension string) user {
	s.t.Helper()
	var u user
	s.owner.Call(http.MethodGet, "/v1/users/"+s.ids[extension], nil, &u)
	return u
}

// await waits until a user is in a state, and logs how long after the event that took.
func (s *site) await(extension, state string, since time.Time) user {
	s.t.Helper()
	return s.awaitThat(extension, state, since, func(u user) bool { return u.State == state })
}

func (s *site) awaitThat(extension, what string, since time.Time, is func(user) bool) user {
	s.t.Helper()
	var u user
	eventually(s.t, extension+" is "+what, func() (bool, any) {
		u = s.status(extension)
		return is(u), u
	})
	s.t.Logf("%s is %s: the status shows it after %v", extension, what, time.Since(since).Round(time.Millisecond))
	return u
}

// rotate changes the password at the PBX behind everybody's back.
func (s *site) rotate(extension string) {
	s.t.Helper()
	if err := s.gateway.RotateCredential(s.t.Context(), extension); err != nil {
		s.t.Fatal(err)
	}
}

// eventually asks again until ok; the last answer is shown when that never comes.
func eventually(t *testing.T, what string, ask func() (ok bool, last any)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, last := ask()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v; last: %+v", what, patience, last)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// buffer collects a log.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// shortDir returns a directory whose sockets' paths are short enough.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "demarc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func withQuery(t *testing.T, address, key, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// mustContain fails when a text that people read lacks one of the words that they need.
func mustContain(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			t.Errorf("%s does not say %q: %s", what, word, text)
		}
	}
}
