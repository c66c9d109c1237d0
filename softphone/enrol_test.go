package softphone_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"demarc/softphone"
)

func TestEnrolSaveLoad(t *testing.T) {
	s := newServer(t, newAuthority(t))
	profile, err := softphone.Enrol(t.Context(), softphone.Enrolment{Link: s.link(), Name: "Ada's laptop"})
	if err != nil {
		t.Fatal(err)
	}
	if profile.Token.Reveal() != testToken || profile.User != "Ada Lovelace" || profile.Server != s.address() {
		t.Errorf("profile: %+v", profile)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", profile, profile, *profile, profile.Token); strings.Contains(text, testToken) {
		t.Errorf("the token prints: %s", text)
	}
	path := filepath.Join(t.TempDir(), "deep", "profile.json")
	for range 2 { // the second replaces the first
		if err := profile.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	loaded, err := softphone.LoadProfile(path)
	if err != nil || fmt.Sprint(loaded) != fmt.Sprint(profile) || loaded.Token != profile.Token {
		t.Errorf("loaded %v, %v", loaded, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
	if err := softphone.Unenrol(t.Context(), profile); err != nil {
		t.Error(err)
	}
}

func TestLoadProfileRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := softphone.LoadProfile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	for name, c := range map[string]struct {
		mode    os.FileMode
		content string
		want    string
	}{
		"readable by others": {0o644, `{}`, "chmod 600"},
		"damaged":            {0o600, `{`, "damaged"},
		"a later version":    {0o600, `{"version":9}`, "version 9"},
		"incomplete":         {0o600, `{"version":1}`, "incomplete"},
		"not over TLS": {0o600, `{"version":1,"server":"http://x","deviceId":"d","token":"t","kind":"mobile","instance":"i"}`,
			"https://"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := softphone.LoadProfile(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnrolRefused(t *testing.T) {
	ca := newAuthority(t)
	s := newServer(t, ca)
	if _, err := softphone.Enrol(t.Context(), softphone.Enrolment{Link: s.link()}); err != nil {
		t.Fatal(err)
	}
	_, err := softphone.Enrol(t.Context(), softphone.Enrolment{Link: s.link()})
	if !errors.Is(err, softphone.ErrRefused) || !strings.Contains(err.Error(), "ask for a new one") {
		t.Errorf("used code: %v", err)
	}
	other := newServer(t, newAuthority(t))
	_, err = softphone.Enrol(t.Context(), softphone.Enrolment{Server: other.address(), Code: testCode, CA: ca.pem()})
	var failure *softphone.Failure
	if !errors.As(err, &failure) || failure.Cause != softphone.CauseTLSUntrusted {
		t.Errorf("foreign CA: %v", err)
	}
	_, err = softphone.Enrol(t.Context(), softphone.Enrolment{
		Server: strings.Replace(s.address(), "localhost", "127.0.0.1", 1), Code: testCode, CA: ca.pem(),
	})
	if !errors.As(err, &failure) || failure.Cause != softphone.CauseTLSName {
		t.Errorf("wrong name: %v", err)
	}
	if _, err := softphone.Enrol(t.Context(), softphone.Enrolment{Server: s.address()}); err == nil {
		t.Error("no code: accepted")
	}
	s.Close()
	_, err = softphone.Enrol(t.Context(), softphone.Enrolment{Link: s.link()})
	if !errors.As(err, &failure) || failure.Cause != softphone.CauseRefused || !failure.Unreachable() {
		t.Errorf("closed server: %v", err)
	}
}

func TestParseLink(t *testing.T) {
	link, err := softphone.ParseLink(" demarc://pbx.example:8443/enrol?code=A-B-C\n")
	if err != nil || link.Server != "https://pbx.example:8443" || link.Code.Reveal() != "A-B-C" || len(link.CA) != 0 {
		t.Errorf("%+v, %v", link, err)
	}
	const canary = "SECRET-CODE"
	for _, bad := range []string{
		"", "https://pbx/enrol?code=" + canary, "demarc://pbx/other?code=" + canary, "demarc:///enrol?code=" + canary,
		"demarc://pbx/enrol", "demarc://u:" + canary + "@pbx/enrol?code=x", "demarc://pbx/enrol?code=" + canary + "&ca=!!",
		"demarc://pbx/enrol?code=" + canary + "&ca=AAAA", "demarc://pbx:" + canary + "/enrol?code=" + canary,
		"demarc://pbx/enrol?code=%zz" + canary,
	} {
		_, err := softphone.ParseLink(bad)
		if !errors.Is(err, softphone.ErrLink) {
			t.Errorf("%q: %v", bad, err)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the error repeats the code: %v", bad, err)
		}
	}
}

func TestPendingThenRegistered(t *testing.T) {
	ca := newAuthority(t)
	s := newServer(t, ca)
	r := newRegistrar(t, ca.server(t, "localhost", time.Now().Add(time.Hour)))
	phone := run(t, s)
	pending := phone.untilState(softphone.Pending)
	if !strings.Contains(pending.Text, "CloudLink has not authorised") || pending.Retry.IsZero() {
		t.Errorf("pending says %+v", pending)
	}
	s.set(func(s *server) { s.credential = credentialFor(ca, place("sbc", "localhost", r.port(), "tls")) })
	phone.untilState(softphone.Registered)
	want := softphone.Account{
		DisplayName: "Ada Lovelace", Extension: "1001", CallerID: "+4989123456", AoR: "1001@pbx.test",
	}
	if got := phone.phone.Account(); got != want {
		t.Errorf("account %+v", got)
	}
}

func TestRevokedEnds(t *testing.T) {
	s := newServer(t, newAuthority(t))
	phone := run(t, s, func(c *softphone.Config) { c.Profile.Token = "wrong" })
	phone.untilState(softphone.Revoked)
	if err := phone.stop(); !errors.Is(err, softphone.ErrRevoked) {
		t.Errorf("Run: %v", err)
	}
}

// A device that is revoked, or whose PBX moved, notices while it is registered, and un-registers where it was.
func TestChecksWhileRegistered(t *testing.T) {
	ca := newAuthority(t)
	s := newServer(t, ca)
	config := ca.server(t, "localhost", time.Now().Add(time.Hour))
	old, moved := newRegistrar(t, config), newRegistrar(t, config)
	for _, r := range []*registrar{old, moved} {
		r.set(func(r *registrar) { r.granted = 1 })
	}
	s.set(func(s *server) { s.credential = credentialFor(ca, place("sbc", "localhost", old.port(), "tls")) })
	phone := run(t, s, func(c *softphone.Config) { c.Retry.Recheck = time.Millisecond })
	phone.untilState(softphone.Registered)
	s.set(func(s *server) { s.credential = credentialFor(ca, place("sbc", "localhost", moved.port(), "tls")) })
	eventually(t, "registered at the new address", func() bool { return len(moved.seen()) >= 2 })
	if all := old.seen(); all[len(all)-1].header("Expires") != "0" {
		t.Error("not un-registered at the old address")
	}
	s.set(func(s *server) { s.revoked = true })
	phone.untilState(softphone.Revoked)
	if all := moved.seen(); all[len(all)-1].header("Expires") != "0" {
		t.Error("not un-registered after the revocation")
	}
}

func TestServerDown(t *testing.T) {
	ca := newAuthority(t)
	s := newServer(t, ca)
	r := newRegistrar(t, ca.server(t, "localhost", time.Now().Add(time.Hour)))
	s.set(func(s *server) { s.broken = 503 })
	phone := run(t, s)
	failed := phone.untilState(softphone.Failed)
	if !strings.Contains(failed.Text, "out of order") {
		t.Errorf("text %q", failed.Text)
	}
	s.set(func(s *server) {
		s.broken = 0
		s.credential = credentialFor(ca, place("sbc", "localhost", r.port(), "tls"))
	})
	phone.untilState(softphone.Registered)
	// With the server away, the credential at hand still does.
	s.set(func(s *server) { s.broken = 503 })
	before := len(r.seen())
	r.cut()
	eventually(t, "registered without the server", func() bool { return len(r.seen()) >= before+2 })
	eventually(t, "registered state", func() bool { return phone.phone.Status().State == softphone.Registered })
}

// A bearer token is for one server: a redirect must not carry it elsewhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	ca := newAuthority(t)
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	s := newServer(t, ca)
	s.Config.Handler = http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect)
	failed := run(t, s).untilState(softphone.Failed)
	if asked.Load() != 0 || !strings.Contains(failed.Text, "307") {
		t.Errorf("%d requests went elsewhere; status %+v", asked.Load(), failed)
	}
}

func TestNonsenseFromTheServer(t *testing.T) {
	ca := newAuthority(t)
	for name, credential := range map[string]map[string]any{
		"no realm":      {"username": "1001", "digests": []any{map[string]string{}}, "registrars": []any{map[string]any{}}},
		"no registrars": {"username": "1001", "realm": "r", "digests": []any{map[string]string{}}},
		"no digests":    {"username": "1001", "realm": "r", "registrars": []any{map[string]any{}}},
		"line break": {"username": "1001\r\nRoute: <sip:evil>", "realm": "r", "digests": []any{map[string]string{}},
			"registrars": []any{map[string]any{}}},
	} {
		s := newServer(t, ca)
		s.set(func(s *server) { s.credential = credential })
		if failed := run(t, s).untilState(softphone.Failed); !strings.Contains(failed.Text, "credential") {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add("demarc://pbx.example:8443/enrol?code=A-B-C&ca=AAAA")
	f.Add("demArC://::/enrol?code=0")
	f.Fuzz(func(t *testing.T, s string) {
		link, err := softphone.ParseLink(s)
		if err != nil {
			if !errors.Is(err, softphone.ErrLink) {
				t.Errorf("%v is not ErrLink", err)
			}
			return
		}
		u, err := url.Parse(link.Server)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || link.Code == "" {
			t.Errorf("%q became %+v", s, link)
		}
	})
}
