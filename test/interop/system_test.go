package interop_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"demarc/gateway"
	"demarc/internal/config"
)

// The people of the PBX. Passwords are for the phones that can do nothing else.
const (
	domain        = "pbx.test"
	adaPassword   = "analytical-engine"
	gracePassword = "nanoseconds-of-wire"
	users         = `pbx:
  domain: pbx.test
  realm: pbx.test
  registration_expires: 60
  keepalive: 20
users:
  - {extension: "1001", name: Ada Lovelace, email: ada@pbx.test, password: analytical-engine}
  - {extension: "1002", name: Grace Hopper, email: grace@pbx.test, password: nanoseconds-of-wire}
`
)

// system is a whole gateway with everybody synced, and the admin who did it.
type system struct {
	t       *testing.T
	gateway *gateway.Gateway
	admin   *admin
	caFile  string
	dataDir string
	ids     map[string]string // user id by extension
	process *process          // instead of gateway, where that is a process of its own
}

// newSystem starts a gateway, links it through the consent page, and syncs.
func newSystem(t *testing.T, change ...func(*config.Config)) *system {
	t.Helper()
	s := newGateway(t, change...)
	s.link()
	s.add("1001", "Ada Lovelace", "ada@pbx.test")
	s.add("1002", "Grace Hopper", "grace@pbx.test")
	s.sync()
	return s
}

// newGateway starts all roles on SQLite and loopback; nothing is linked yet.
func newGateway(t *testing.T, change ...func(*config.Config)) *system {
	t.Helper()
	return newGatewayOf(t, users, change...)
}

// newGatewayOf does that with other people.
func newGatewayOf(t *testing.T, users string, change ...func(*config.Config)) *system {
	t.Helper()
	dir, err := os.MkdirTemp("", "demarc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := config.Default()
	c.DataDir = filepath.Join(dir, "data")
	c.HTTP.Listen, c.HTTP.Metrics, c.CloudLink.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	for i := range c.Telephony.Listeners {
		c.Telephony.Listeners[i].Address = "127.0.0.1:0"
	}
	c.Telephony.Listeners = append(c.Telephony.Listeners, config.Listener{
		Name: "wss", Transport: "wss", Shares: "tls", Path: "/sip", Origins: []string{"127.0.0.1:*"},
	})
	c.Telephony.Directory = write(t, dir, "users.yaml", users)
	for _, f := range change {
		f(&c)
	}
	var log lockedBuffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway logged:\n%s", log.String())
		}
	})
	g := gateway.New(gateway.Config{Config: c, Log: slog.New(slog.NewTextHandler(&log, nil)), Version: "interop"})
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Errorf("the gateway does not stop well: %v", err)
		}
	})
	s := &system{t: t, gateway: g, admin: newAdmin(t, g.URL(), g.CAPEM()), dataDir: c.DataDir, ids: map[string]string{}}
	s.caFile = write(t, dir, "ca.pem", string(g.CAPEM()))
	return s
}

// link signs the owner in and walks through install, connector, sign-in at the service, and consent.
func (s *system) link() {
	s.t.Helper()
	s.admin.open(s.signInLink())
	s.admin.press("", nil)
	s.admin.call(http.MethodPost, "/v1/app", nil, nil)
	var connector struct{ ID, State, Reason string }
	s.admin.call(http.MethodPost, "/v1/connectors",
		map[string]string{"name": "PBX", "baseUrl": s.gateway.CloudLinkURL()}, &connector)
	var start struct{ URL string }
	s.admin.call(http.MethodPost, "/v1/connectors/"+connector.ID+"/connect", struct{}{}, &start)
	email, password, err := s.gateway.CloudLinkAdmin()
	if err != nil {
		s.t.Fatal(err)
	}
	s.admin.open(start.URL)
	s.admin.press("sign-in", map[string]string{"email": email, "password": password.Reveal()})
	s.admin.press("approve", nil)
	s.admin.call(http.MethodGet, "/v1/connectors/"+connector.ID, nil, &connector)
	if connector.State != "linked" {
		s.t.Fatalf("the connector is %+v", connector)
	}
}

func (s *system) signInLink() string {
	s.t.Helper()
	link, err := s.gateway.SignInLink(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return link.Reveal()
}

func (s *system) add(extension, name, email string) {
	s.t.Helper()
	var added struct{ ID string }
	s.admin.call(http.MethodPost, "/v1/users", map[string]string{"email": email, "name": name}, &added)
	s.ids[extension] = added.ID
}

func (s *system) sync() {
	s.t.Helper()
	var run struct {
		Error  string
		Looked int
	}
	s.admin.call(http.MethodPost, "/v1/sync", nil, &run)
	if run.Error != "" || run.Looked != len(s.ids) {
		s.t.Fatalf("sync: %+v", run)
	}
}

// user is what support staff see of one.
type user struct {
	State    string
	SIPCode  int
	Text     string
	Device   string
	Devices  []device
	Timeline []struct{ Kind, Text string }
}

type device struct {
	ID, Name, Origin, State, Text, UserAgent, Transport string
	SIPCode                                             int
}

func (s *system) user(extension string) user {
	s.t.Helper()
	var u user
	s.admin.call(http.MethodGet, "/v1/users/"+s.ids[extension], nil, &u)
	return u
}

// await waits until a user is as wished, and returns the user.
func (s *system) await(extension, what string, is func(user) bool) user {
	s.t.Helper()
	var u user
	eventually(s.t, extension+" "+what, func() (bool, any) {
		u = s.user(extension)
		return is(u), u
	})
	return u
}

func (s *system) documentLink(extension string) string {
	s.t.Helper()
	var link struct{ URL string }
	s.admin.call(http.MethodPost, "/v1/users/"+s.ids[extension]+"/document-links",
		map[string]string{"app": "linphone", "kind": "desktop"}, &link)
	return link.URL
}

func (s *system) enrolmentLink(extension string) string {
	s.t.Helper()
	var code struct{ Link string }
	s.admin.call(http.MethodPost, "/v1/users/"+s.ids[extension]+"/enrolment-codes",
		map[string]string{"kind": "desktop"}, &code)
	return code.Link
}

// rotate changes the password at the PBX behind everybody's back.
func (s *system) rotate(extension string) {
	s.t.Helper()
	if err := s.gateway.RotateCredential(s.t.Context(), extension); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) sip(listener string) netip.AddrPort {
	s.t.Helper()
	if s.process != nil {
		return s.process.sip[listener]
	}
	address, err := netip.ParseAddrPort(s.gateway.SIPAddress(listener))
	if err != nil {
		s.t.Fatal(err)
	}
	return address
}

// registered finds a registered device by its User-Agent.
func (u user) registered(agent func(string) bool) bool {
	for _, d := range u.Devices {
		if d.State == "registered" && agent(d.UserAgent) {
			return true
		}
	}
	return false
}
