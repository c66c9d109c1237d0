package e2e_test

import (
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/softphone"
)

// The main job: from an empty data directory to a phone that works, and the truth about it whenever it does not.
func TestMainPath(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, storeURL string) {
		sip, api := newLine(t, "tcp", "127.0.0.1:0"), newLine(t, "tcp", "127.0.0.1:0")
		s := newSite(t, onStore(storeURL), advertise(sip))
		sip.to("tcp", s.gateway.SIPAddress("tls"))
		api.to("tcp", s.cfg.HTTP.Listen)
		s.ready()
		if u := s.status("1001"); u.State != "inactive" {
			t.Fatalf("after the sync: %+v", u)
		}
		profile := s.enrol("1001", "Ada's laptop")
		profile.Server = "https://localhost:" + api.port()
		mustContain(t, "the status of a phone that was never on", s.status("1001").Text, "never")

		p := registers(t, s, profile)
		stops(t, s, p)
		p = breaksAndHeals(t, s, profile)
		losesItsNetwork(t, s, p, network{api, sip})
		losesItsRegistrar(t, s, p, sip)
		outlivesRestart(t, s, p, network{api, sip})
	})
}

func onStore(storeURL string) func(*config.Config) {
	return func(c *config.Config) { c.Store.URL = account.Secret(storeURL) }
}

// advertise sends phones through a cable instead of straight to the TLS listener.
func advertise(cable *line) func(*config.Config) {
	return func(c *config.Config) { c.Telephony.Listeners[0].Advertise = "localhost:" + cable.port() }
}

// network is every cable of a phone.
type network []*line

func (n network) cut() {
	for _, cable := range n {
		cable.cut()
	}
}

func (n network) mend() {
	for _, cable := range n {
		cable.mend()
	}
}

func registers(t *testing.T, s *site, profile *softphone.Profile) *phone {
	began := time.Now()
	p := newPhone(t, profile)
	on := p.await(softphone.Registered, began)
	if on.Transport != "tls" {
		t.Errorf("the phone registered over %s", on.Transport)
	}
	s.await("1001", "registered", on.At) // by the phone's word or by the registrar's, which comes first
	u := s.awaitThat("1001", "seen by the registrar", on.At, func(u user) bool { return u.Devices[0].Transport == "tls" })
	if u.State != "registered" || u.Device != "Ada's laptop" || len(u.Devices) != 1 {
		t.Errorf("the status names another device: %+v", u)
	}
	if s.list().Counts["registered"] != 1 {
		t.Errorf("the counts are %v", s.list().Counts)
	}
	return p
}

func stops(t *testing.T, s *site, p *phone) {
	p.stop()
	u := s.await("1001", "inactive", time.Now())
	mustContain(t, "the status of a stopped phone", u.Text, "since")
	if !strings.Contains(u.Text, "softphone was stopped") && !strings.Contains(u.Text, "ended its registration") {
		t.Errorf("neither in the phone's words nor in the registrar's: %s", u.Text)
	}
	if u.Devices[0].LastRegistered.IsZero() {
		t.Errorf("the status does not say when the phone was registered: %+v", u.Devices[0])
	}
}

func breaksAndHeals(t *testing.T, s *site, profile *softphone.Profile) *phone {
	s.rotate("1001")
	p, refused := refusedPhone(t, profile)
	if refused.Code != 401 {
		t.Errorf("the phone saw %+v", refused)
	}
	u := s.await("1001", "sip_error", refused.At)
	if u.SIPCode != 401 {
		t.Errorf("the status shows the code %d", u.SIPCode)
	}
	mustContain(t, "the status of a phone with an old credential", u.Text,
		"credential does not match the PBX", "sync this user", "fetch its credential again")

	synced := time.Now()
	s.sync()
	on := p.await(softphone.Registered, synced)
	if u := s.await("1001", "registered", on.At); u.SIPCode != 0 {
		t.Errorf("an old error stays: %+v", u)
	}
	return p
}

// refusedPhone starts a phone until the registrar has noticed that its password was changed, which takes it a moment.
func refusedPhone(t *testing.T, profile *softphone.Profile) (*phone, softphone.Status) {
	t.Helper()
	rotated := time.Now()
	for {
		p := newPhone(t, profile)
		first := p.awaitThat("registered or refused", func(s softphone.Status) bool {
			return s.State == softphone.Registered || s.State == softphone.Failed
		})
		if first.State == softphone.Failed {
			t.Logf("the old password is refused %v after its rotation", first.At.Sub(rotated).Round(time.Millisecond))
			return p, first
		}
		p.stop()
		if time.Since(rotated) > patience {
			t.Fatalf("the old password is still good %v after its rotation", patience)
		}
	}
}

func losesItsNetwork(t *testing.T, s *site, p *phone, n network) {
	cut := time.Now()
	n.cut()
	u := s.await("1001", "inactive", cut)
	mustContain(t, "the status of a phone without network", u.Text, "since", "connection closed")
	n.mend()
	on := p.await(softphone.Registered, cut)
	s.await("1001", "registered", on.At)
}

// losesItsRegistrar: the phone still reaches the API and tells what it sees, which is more than the registrar knows.
func losesItsRegistrar(t *testing.T, s *site, p *phone, sip *line) {
	cut := time.Now()
	sip.cut()
	u := s.await("1001", "sip_error", cut)
	mustContain(t, "the status of a phone without registrar", u.Text, "connects again by itself", "look at the network")
	sip.mend()
	on := p.await(softphone.Registered, cut)
	s.await("1001", "registered", on.At)
}

func outlivesRestart(t *testing.T, s *site, p *phone, n network) {
	cut := time.Now()
	s.stop()
	n.cut()
	s.start()
	u := s.await("1001", "inactive", time.Now())
	mustContain(t, "the status after a restart", u.Text, "since", "connection closed")
	n.mend()
	on := p.await(softphone.Registered, cut)
	if u = s.await("1001", "registered", on.At); len(u.Devices) != 1 {
		t.Errorf("the restart left %d devices: %+v", len(u.Devices), u.Devices)
	}
}
