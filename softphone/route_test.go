package softphone_test

import (
	"strings"
	"testing"
	"time"

	"demarc/softphone"
)

// The route is seen from outside: which addresses are tried, in what order, when none of them answers.
func TestRoutes(t *testing.T) {
	const sbc, backup, internal = "sbc", "backup", "internal"
	for name, c := range map[string]struct {
		kind   softphone.Kind
		onSite bool
		has    []string
		want   string
	}{
		"desktop outside":              {softphone.Desktop, false, []string{internal, backup, sbc}, "sbc backup"},
		"desktop on site":              {softphone.Desktop, true, []string{sbc, backup, internal}, "internal sbc backup"},
		"mobile outside":               {softphone.Mobile, false, []string{internal, sbc, backup}, "sbc backup"},
		"mobile on site":               {softphone.Mobile, true, []string{internal, sbc, backup}, "sbc backup"},
		"desktop, PBX without SBC":     {softphone.Desktop, false, []string{internal}, "internal"},
		"mobile, PBX without SBC":      {softphone.Mobile, true, []string{internal}, ""},
		"several of a role, in order":  {softphone.Mobile, false, []string{backup, sbc, sbc}, "sbc sbc backup"},
		"desktop on site, no internal": {softphone.Desktop, true, []string{backup, sbc}, "sbc backup"},
	} {
		t.Run(name, func(t *testing.T) {
			ca := newAuthority(t)
			s := newServer(t, ca)
			var places []map[string]any
			for _, role := range c.has {
				places = append(places, place(role, "127.0.0.1", 1, "tcp"))
			}
			credential := credentialFor(ca, places...)
			credential["kind"] = string(c.kind)
			s.set(func(s *server) { s.credential = credential })
			phone := run(t, s, func(cfg *softphone.Config) {
				cfg.OnSite = c.onSite
				cfg.Retry.Base = time.Minute
				cfg.Retry.Max = time.Minute
			})
			failed := phone.untilState(softphone.Failed)
			var tried []string
			for _, s := range phone.statuses() {
				if s.State == softphone.Connecting {
					tried = append(tried, s.Route)
				}
			}
			if got := strings.Join(tried, " "); got != c.want {
				t.Errorf("tried %q, want %q", got, c.want)
			}
			if c.want == "" && (failed.Cause != softphone.CauseClient || !strings.Contains(failed.Text, "role sbc")) {
				t.Errorf("status %+v", failed)
			}
		})
	}
}

func TestBackupRoute(t *testing.T) {
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	for name, answer := range map[string]func(sipRequest) string{
		"first is busy":       func(sipRequest) string { return "503 Service Unavailable" },
		"first does not know": func(sipRequest) string { return "404 Not Found" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, ca)
			first := newRegistrar(t, ca.server(t, "localhost", hour))
			first.set(func(r *registrar) { r.answer = answer })
			second := newRegistrar(t, ca.server(t, "localhost", hour))
			s.set(func(s *server) {
				s.credential = credentialFor(ca, place("backup", "localhost", second.port(), "tls"),
					place("sbc", "localhost", first.port(), "tls"))
			})
			phone := run(t, s)
			if got := phone.untilState(softphone.Registered); got.Route != "backup" || len(first.seen()) != 1 {
				t.Errorf("registered by %+v after %d requests to the first", got, len(first.seen()))
			}
			for _, status := range phone.statuses() {
				if status.State == softphone.Failed {
					t.Errorf("failed although the backup worked: %+v", status)
				}
			}
		})
	}
}

// The credential is refused by the PBX, not by the address: the backup is not asked, lest the account be locked.
func TestNoBackupForRefusedCredential(t *testing.T) {
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	s := newServer(t, ca)
	first, second := newRegistrar(t, ca.server(t, "localhost", hour)), newRegistrar(t, ca.server(t, "localhost", hour))
	first.set(func(r *registrar) { r.answer = func(sipRequest) string { return "403 Forbidden" } })
	s.set(func(s *server) {
		s.credential = credentialFor(ca, place("sbc", "localhost", first.port(), "tls"),
			place("backup", "localhost", second.port(), "tls"))
	})
	run(t, s).untilState(softphone.Failed)
	if n := len(second.seen()); n != 0 {
		t.Errorf("the backup got %d requests", n)
	}
}

func TestReturnsToBetterRoute(t *testing.T) {
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	s := newServer(t, ca)
	first, second := newRegistrar(t, ca.server(t, "localhost", hour)), newRegistrar(t, ca.server(t, "localhost", hour))
	first.set(func(r *registrar) { r.answer = func(sipRequest) string { return "503 Service Unavailable" } })
	s.set(func(s *server) {
		s.credential = credentialFor(ca, place("sbc", "localhost", first.port(), "tls"),
			place("backup", "localhost", second.port(), "tls"))
	})
	phone := run(t, s, func(cfg *softphone.Config) { cfg.Retry.Return = 20 * time.Millisecond })
	on := func(role string) func(softphone.Status) bool {
		return func(s softphone.Status) bool { return s.State == softphone.Registered && s.Route == role }
	}
	phone.until("registered at the backup", on("backup"))
	eventually(t, "another look at the first", func() bool { return len(first.seen()) >= 3 })
	first.set(func(r *registrar) { r.answer = nil })
	phone.until("back at the first", on("sbc"))
	if err := phone.stop(); err != nil {
		t.Fatal(err)
	}
	for _, req := range second.seen() {
		if req.header("Expires") == "0" {
			t.Error("un-registered at the backup: that could remove the new registration")
		}
	}
	if all := first.seen(); all[len(all)-1].header("Expires") != "0" {
		t.Error("not un-registered at the first in the end")
	}
}

// Addresses for browsers are not for the SDK.
func TestBrowsersAddressesAreSkipped(t *testing.T) {
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	s := newServer(t, ca)
	r := newRegistrar(t, ca.server(t, "localhost", hour))
	s.set(func(s *server) {
		s.credential = credentialFor(ca, place("sbc", "localhost", 1, "wss"), place("sbc", "localhost", r.port(), "tls"))
	})
	phone := run(t, s)
	if got := phone.untilState(softphone.Registered); got.Transport != "tls" {
		t.Errorf("%+v", got)
	}
	for _, status := range phone.statuses() {
		if status.State == softphone.Failed {
			t.Errorf("%+v", status)
		}
	}
	web := newServer(t, ca)
	web.set(func(s *server) { s.credential = credentialFor(ca, place("sbc", "localhost", 1, "wss")) })
	if got := run(t, web).untilState(softphone.Failed); !strings.Contains(got.Text, "browsers alone") {
		t.Errorf("%+v", got)
	}
}
