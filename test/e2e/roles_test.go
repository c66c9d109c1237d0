package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/softphone"
	"demarc/store/storetest"
)

func roles(all ...config.Role) func(*config.Config) {
	return func(c *config.Config) { c.Roles = all }
}

// The registrar alone, with nothing but a users file: phones register, wrong passwords and strangers do not.
func TestTelephonyAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, roles(config.RoleTelephony))
	if s.gateway.URL() != "" || s.gateway.CloudLinkURL() != "" {
		t.Errorf("the registrar alone serves %q and %q", s.gateway.URL(), s.gateway.CloudLinkURL())
	}
	address := s.gateway.SIPAddress("udp")
	for _, try := range []struct {
		user, password string
		status         int
	}{
		{"1001", "canary-analytical-engine", 200},
		{"1001", "guess", 401},
		{"4711", "guess", 401},
	} {
		if got := newPlainPhone(t, address, try.user, try.password).register(60); got != try.status {
			t.Errorf("%s with the password %s: %d, want %d", try.user, try.password, got, try.status)
		}
	}
	if status, body := fetch(t, s.gateway.HealthURL()+"/readyz"); status != http.StatusOK {
		t.Errorf("not ready: %d %s", status, body)
	}
}

// Two machines and one PostgreSQL: one talks to people and the PBX's cloud, one to phones. They share the database, the
// keyset and the authority, as their operator copied them.
func TestRolesOnTwoMachines(t *testing.T) {
	t.Parallel()
	database := account.Secret(storetest.PostgreSQLURL(t))
	together := func(c *config.Config) { c.Store.URL, c.Account.Domain = database, domain }
	front := newSite(t, together, roles(config.RoleConnector, config.RoleCloudLink), func(c *config.Config) {
		c.Telephony.Node, c.Telephony.Directory = "front", ""
	})
	phones := prepareSite(t, together, roles(config.RoleTelephony), func(c *config.Config) {
		c.Telephony.Node, c.Store.KeysetFile = "phones", front.cfg.KeysetFile()
	})
	if err := os.CopyFS(phones.cfg.DataFile("pki"), os.DirFS(front.cfg.DataFile("pki"))); err != nil {
		t.Fatal(err)
	}
	phones.start()

	front.ready()
	began := time.Now()
	p := newPhone(t, front.enrol("1001", "Ada's laptop"))
	on := p.await(softphone.Registered, began)
	front.awaitThat("1001", "seen by the registrar", on.At, func(u user) bool { return u.Devices[0].Transport == "tls" })
	if u := front.status("1001"); u.State != "registered" {
		t.Errorf("the status is %+v", u)
	}
	p.stop()
	front.await("1001", "inactive", time.Now())

	// A phone that no API knows, so that the registrar's feed alone can tell.
	grace := newPlainPhone(t, phones.gateway.SIPAddress("udp"), "1002", "canary-nanoseconds-of-wire")
	if status := grace.register(60); status != 200 {
		t.Fatalf("the plain phone got %d", status)
	}
	front.await("1002", "registered", time.Now())
	if status := grace.register(0); status != 200 {
		t.Fatalf("the plain phone got %d when it left", status)
	}
	front.await("1002", "inactive", time.Now())
}

// A node with another keyset could neither read what is sealed nor be read: it must not start, and say so.
func TestForeignKeysetIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, roles(config.RoleConnector)) // which opens nothing at its start
	s.stop()
	keyset := s.cfg.KeysetFile()
	if err := os.Rename(keyset, filepath.Join(t.TempDir(), "keyset.json")); err != nil {
		t.Fatal(err)
	}
	err := s.tryStart()
	if err == nil {
		t.Fatal("it started with a new keyset on a store that another one has sealed")
	}
	mustContain(t, "the error", err.Error(), "keyset", keyset, "restore it")
	if _, err := os.Stat(keyset); !os.IsNotExist(err) {
		t.Errorf("a keyset that opens nothing was left behind: %v", err)
	}
}

// Two processes may share a data directory on PostgreSQL: the one with the role connector has the operator's socket, and
// keeps it when the other one stops.
func TestTwoProcessesInOneDirectory(t *testing.T) {
	t.Parallel()
	database := account.Secret(storetest.PostgreSQLURL(t))
	together := func(c *config.Config) { c.Store.URL, c.Account.Domain = database, domain }
	phones := newSite(t, together, roles(config.RoleTelephony), func(c *config.Config) { c.Telephony.Node = "phones" })
	if status := phones.socket("/v1/users", nil); status != http.StatusNotFound {
		t.Errorf("a node without the role connector lists users: %d", status)
	}
	front := prepareSite(t, together, roles(config.RoleConnector, config.RoleCloudLink), func(c *config.Config) {
		c.DataDir, c.Telephony.Node, c.Telephony.Directory = phones.cfg.DataDir, "front", ""
	})
	front.start()
	later := prepareSite(t, together, roles(config.RoleTelephony), func(c *config.Config) {
		c.DataDir, c.Telephony.Node = phones.cfg.DataDir, "later"
	})
	later.start()
	for _, gone := range []*site{phones, later} {
		if status := front.socket("/v1/users", nil); status != http.StatusOK {
			t.Errorf("users by the socket: %d", status)
		}
		gone.stop()
	}
	if status := front.socket("/v1/users", nil); status != http.StatusOK {
		t.Errorf("users by the socket, when the others have stopped: %d", status)
	}
}
