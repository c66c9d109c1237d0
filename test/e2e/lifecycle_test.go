package e2e_test

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/softphone"
	"demarc/store/storetest"
)

// Not parallel: it counts goroutines.
func TestStopLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := newSite(t)
	s.ready()
	p := newPhone(t, s.enrol("1001", "Ada's laptop"))
	p.await(softphone.Registered, time.Time{})
	stream := s.stream("/live")
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status, body := fetch(t, s.gateway.HealthURL()+path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	began := time.Now()
	s.stop() // with a registered phone, an open stream and idle connections
	t.Logf("the stop took %v", time.Since(began).Round(time.Millisecond))
	p.stop()
	_ = stream.Close()
	s.owner.Client.CloseIdleConnections()
	goleak.VerifyNone(t, before)
	if _, err := os.Stat(s.cfg.OperatorSocket()); !os.IsNotExist(err) {
		t.Errorf("the operator's socket is still there: %v", err)
	}
}

// Without its store a node is alive but not ready, says 503 and never 401, and comes back by itself.
func TestStoreGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	cable, through := cableToPostgreSQL(t)
	s := newSite(t, onStore(through))
	s.ready()
	p := newPhone(t, s.enrol("1001", "Ada's laptop"))
	p.await(softphone.Registered, time.Time{})

	cable.cut()
	eventually(t, "not ready without the store", func() (bool, any) {
		status, body := fetch(t, s.gateway.HealthURL()+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "store"), body
	})
	if status, _ := fetch(t, s.gateway.HealthURL()+"/livez"); status != http.StatusOK {
		t.Errorf("without the store it is not even alive: %d", status)
	}
	for _, path := range []string{"/v1/users", "/"} {
		if status, body := s.owner.Do(s.owner.Request(http.MethodGet, s.gateway.URL()+path, nil)); status != 503 {
			t.Errorf("%s without the store: %d %s", path, status, body)
		}
	}
	grace := newPlainPhone(t, s.gateway.SIPAddress("udp"), "1002", "canary-nanoseconds-of-wire")
	if status := grace.register(60); status != 503 {
		t.Errorf("a new phone without the store: %d, want 503", status)
	}

	cable.mend()
	mended := time.Now()
	eventually(t, "ready with the store", func() (bool, any) {
		status, body := fetch(t, s.gateway.HealthURL()+"/readyz")
		return status == http.StatusOK, body
	})
	eventually(t, "the new phone registers", func() (bool, any) {
		status := grace.register(60)
		return status == 200, status
	})
	s.await("1002", "registered", mended)
	if u := s.status("1001"); u.State != "registered" {
		t.Errorf("the phone that stayed on is %+v", u)
	}
}

func cableToPostgreSQL(t *testing.T) (cable *line, through string) {
	t.Helper()
	u, err := url.Parse(storetest.PostgreSQLURL(t))
	if err != nil {
		t.Fatal(err)
	}
	const socket = ".s.PGSQL.5432"
	query, dir := u.Query(), shortDir(t)
	cable = newLine(t, "unix", filepath.Join(dir, socket))
	cable.to("unix", filepath.Join(query.Get("host"), socket))
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	return cable, u.String()
}

// Whatever keeps a node from starting is told in one line that says what to do, and nothing stays behind.
func TestStartThatFailsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	running := newSite(t)
	for name, try := range map[string]struct {
		change func(*config.Config)
		says   []string
	}{
		"the portal's port is busy": {
			func(c *config.Config) { c.HTTP.Listen = busy }, []string{busy, "address already in use", "http.listen"},
		},
		"the service's port is busy": {
			func(c *config.Config) { c.CloudLink.Listen = busy }, []string{busy, "in use", "cloudlink.listen"},
		},
		"the port of health is busy": {
			func(c *config.Config) { c.HTTP.Metrics = busy }, []string{busy, "in use", "http.metrics"},
		},
		"a SIP port is busy": {
			func(c *config.Config) { c.Telephony.Listeners[1].Address = busy },
			[]string{busy, "in use", "telephony.listeners", "tcp"},
		},
		"the data directory is another's": {
			func(c *config.Config) { c.DataDir = running.cfg.DataDir },
			[]string{"another demarc process", running.cfg.DataDir, "another data directory"},
		},
		"the users file is broken": {
			func(c *config.Config) {
				c.Telephony.Directory = write(t, t.TempDir(), "broken.yaml", "users:\n  - {nam: Ada}\n")
			},
			[]string{"broken.yaml:2:6", "nam"},
		},
		"the users file is missing": {
			func(c *config.Config) { c.Telephony.Directory = "/nowhere/users.yaml" },
			[]string{"/nowhere/users.yaml", "no such file"},
		},
		"the users file is another domain's": {
			func(c *config.Config) { c.Account.Domain = "other.test" }, []string{"pbx.test", "other.test", "account.domain"},
		},
		"PostgreSQL is not there": {
			func(c *config.Config) {
				c.Store.URL = account.Secret("postgres://demarc:canary-password@127.0.0.1:1/demarc?connect_timeout=1")
			},
			[]string{"start PostgreSQL", "store.url", "127.0.0.1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepareSite(t, try.change)
			err := s.tryStart()
			if err == nil {
				t.Fatal("it started")
			}
			t.Log(err)
			mustContain(t, "the error", err.Error(), try.says...)
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error shows a secret or is not one line: %v", err)
			}
		})
	}
}

// A reload takes what is new in the users file; a broken file changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	address := s.gateway.SIPAddress("udp")
	more := `  - {extension: "1003", name: New, email: new@pbx.test, password: canary-new-password}` + "\n"
	if status := newPlainPhone(t, address, "1003", "canary-new-password").register(60); status != 401 {
		t.Errorf("before the reload: %d", status)
	}
	write(t, filepath.Dir(s.cfg.Telephony.Directory), "users.yaml", users+more)
	if err := s.gateway.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new user registers", func() (bool, any) {
		status := newPlainPhone(t, address, "1003", "canary-new-password").register(60)
		return status == 200, status
	})
	write(t, filepath.Dir(s.cfg.Telephony.Directory), "users.yaml", users+"  - {extension: [}\n")
	err := s.gateway.Reload(t.Context())
	if err == nil {
		t.Fatal("a broken file was taken")
	}
	mustContain(t, "the error", err.Error(), "users.yaml:8:")
	if status := newPlainPhone(t, address, "1003", "canary-new-password").register(60); status != 200 {
		t.Errorf("after a broken reload: %d", status)
	}
}

// A users file that was emptied by mistake takes nobody's phone away, at a reload and at a start; whoever means it says so once more.
func TestAUsersFileThatLeavesOutTooMany(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	registers := func() int {
		return newPlainPhone(t, s.gateway.SIPAddress("udp"), "1001", "canary-analytical-engine").register(60)
	}
	head, _, _ := strings.Cut(users, "users:")
	path := filepath.Dir(s.cfg.Telephony.Directory)
	if status := registers(); status != 200 {
		t.Fatalf("before: %d", status)
	}
	write(t, path, "users.yaml", head+"users: []\n")
	err := s.gateway.Reload(t.Context())
	if err == nil {
		t.Fatal("an empty users file was taken")
	}
	mustContain(t, "the error", err.Error(), "users.yaml", "of 2 users", "SIGHUP", "nothing was changed")
	if status := registers(); status != 200 {
		t.Errorf("after an empty users file: %d", status)
	}
	s.stop()
	s.start()
	if status := registers(); status != 200 {
		t.Errorf("after a start with an empty users file: %d", status)
	}
	mustContain(t, "the log", s.log.String(), "would remove 2 of 2 users")
	if err := s.gateway.Reload(t.Context()); err != nil {
		t.Fatalf("what was meant is refused: %v", err)
	}
	eventually(t, "nobody is there any more", func() (bool, any) {
		status := registers()
		return status == 401, status
	})
}
