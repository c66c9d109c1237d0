package e2e_test

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/config"
	"demarc/softphone"
)

// foreign is a gateway in front of a PBX that it knows by a users file alone: that PBX's registrar tells it nothing, so
// that the status is what the phones say.
type foreign struct {
	*site
	pbx   *site
	ahead atomic.Int64 // of the gateway's clock, in nanoseconds
}

// newForeign trusts the PBX's CA only when asked to.
func newForeign(t *testing.T, trusted bool) *foreign {
	t.Helper()
	f := &foreign{pbx: newSite(t, roles(config.RoleTelephony))}
	_, sip, _ := strings.Cut(f.pbx.gateway.SIPAddress("tls"), ":")
	described := strings.Replace(users, "users:", "  registrars:\n    - {role: sbc, host: localhost, port: "+sip+
		", transport: tls}\nusers:", 1)
	f.site = prepareSite(t, roles(config.RoleConnector, config.RoleCloudLink), func(c *config.Config) {
		c.Telephony.Directory = ""
		c.CloudLink.Driver, c.CloudLink.File = "file", write(t, t.TempDir(), "users.yaml", described)
		if trusted {
			c.Connector.PhoneCAFile = write(t, t.TempDir(), "pbx-ca.pem", string(f.pbx.gateway.CAPEM()))
		}
	})
	f.now = func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }
	f.start()
	f.ready()
	return f
}

// changePassword changes Ada's password at the PBX alone, as its admin would.
func (f *foreign) changePassword() {
	f.t.Helper()
	changed := strings.Replace(users, "canary-analytical-engine", "canary-difference-engine", 1)
	if err := os.WriteFile(f.pbx.cfg.Telephony.Directory, []byte(changed), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := f.pbx.gateway.Reload(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func TestForeignPBX(t *testing.T) {
	t.Parallel()
	f := newForeign(t, true)
	profile := f.enrol("1001", "Ada's laptop")
	began := time.Now()
	p := newPhone(t, profile)
	on := p.await(softphone.Registered, began)
	f.await("1001", "registered", on.At)

	p.stop()
	u := f.await("1001", "inactive", time.Now())
	mustContain(t, "the status of a stopped phone", u.Text, "not registered since", "the softphone was stopped")

	again := time.Now()
	crashes := newPhone(t, profile)
	on = crashes.await(softphone.Registered, again)
	f.await("1001", "registered", on.At)
	f.ahead.Store(int64(3 * time.Minute)) // longer than the registration; nobody has heard from the phone since
	u = f.await("1001", "inactive", time.Now())
	mustContain(t, "the status of a crashed phone", u.Text, "last confirmed", "ran out")
	crashes.stop()

	f.changePassword()
	refused, _ := refusedPhone(t, profile)
	u = f.await("1001", "sip_error", time.Now())
	if u.SIPCode != 401 {
		t.Errorf("the status shows the code %d", u.SIPCode)
	}
	mustContain(t, "the status of a phone with an old credential", u.Text, "password was changed", "sync this user")
	refused.stop()
}

func TestForeignPBXWithAnotherAuthority(t *testing.T) {
	t.Parallel()
	f := newForeign(t, false)
	began := time.Now()
	p := newPhone(t, f.enrol("1001", "Ada's laptop"))
	if failed := p.await(softphone.Failed, began); failed.Cause != softphone.CauseTLSUntrusted || failed.Code != 0 {
		t.Errorf("the phone failed with %+v", failed)
	}
	u := f.await("1001", "sip_error", began)
	if u.SIPCode != 0 {
		t.Errorf("a failure below SIP shows the code %d", u.SIPCode)
	}
	mustContain(t, "the status of a phone that does not trust the PBX", u.Text, "does not trust", "certificate")
}
