package e2e_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"demarc/internal/config"
	"demarc/internal/pki"
	"demarc/softphone"
	"demarc/test/persontest"
)

// A certificate from files is shown everywhere, nobody is told to trust a CA for it, and it is renewed while the gateway
// runs; what somebody puts there by mistake changes nothing.
func TestCertificateFromFiles(t *testing.T) {
	dir := shortDir(t)
	authority, err := pki.LoadOrCreate(filepath.Join(dir, "pki"), []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := filepath.Join(dir, "pki/server.pem"), filepath.Join(dir, "pki/server.key")
	s := newSite(t, func(c *config.Config) {
		c.TLS.CertificateFile, c.TLS.KeyFile = certificate, key
		c.Connector.CAFile = write(t, dir, "ca.pem", string(authority.CAPEM()))
		c.Telephony.Listeners[0].TLSPolicy = "aes256"
	})
	if ca := s.gateway.CAPEM(); len(ca) != 0 {
		t.Errorf("phones are told to trust %s", ca)
	}
	s.owner = persontest.New(t, s.gateway.URL(), authority.CAPEM())
	s.owner.SignIn(s.signInLink())
	s.link()
	s.importPeople()
	link, err := url.Parse(s.enrolmentLink("1001"))
	if err != nil || link.Query().Get("code") == "" || link.Query().Has("ca") {
		t.Errorf("the enrolment link is %s (%v)", link, err)
	}
	if status, body := s.owner.Do(s.owner.Request(http.MethodGet, s.gateway.URL()+"/ca.pem", nil)); status != 404 ||
		!strings.Contains(body, "public certificate") {
		t.Errorf("/ca.pem: %d %s", status, body)
	}

	shown := func(address string) tls.ConnectionState {
		t.Helper()
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: authority.Pool(), ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState()
	}
	sip := s.gateway.SIPAddress("tls")
	first := shown(sip)
	if first.Version != tls.VersionTLS12 || !strings.Contains(tls.CipherSuiteName(first.CipherSuite), "AES_256_GCM") {
		t.Errorf("aes256: %s with %s", tls.VersionName(first.Version), tls.CipherSuiteName(first.CipherSuite))
	}
	serial := first.PeerCertificates[0].SerialNumber

	good, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "pki/server.pem", "nothing of the kind")
	eventually(t, "the bad file is told of", func() (bool, any) {
		return strings.Contains(s.log.String(), "stays in use"), s.log.String()
	})
	if got := shown(sip).PeerCertificates[0].SerialNumber; got.Cmp(serial) != 0 {
		t.Error("another certificate is shown")
	}
	write(t, dir, "pki/server.pem", string(good))
	if err := authority.Renew(time.Now().Add(380 * 24 * time.Hour)); err != nil { // near its end: a new one is made
		t.Fatal(err)
	}
	// The new one begins in a year: it is refused too, and still the old one is shown.
	eventually(t, "a certificate of the future is told of", func() (bool, any) {
		return strings.Contains(s.log.String(), "begins only at"), s.log.String()
	})
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.LoadOrCreate(filepath.Join(dir, "pki"), []string{"localhost", "127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{sip, strings.TrimPrefix(s.gateway.URL(), "https://")} {
		eventually(t, "the new certificate is shown at "+address, func() (bool, any) {
			now := shown(address).PeerCertificates[0]
			return now.SerialNumber.Cmp(serial) != 0, now.NotAfter
		})
	}
}

// A phone that was registered and does not trust our certificate any more can say nothing by SIP: its user's timeline tells
// what most likely happened.
func TestDistrustStandsInTheTimeline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ready()
	p := newPhone(t, s.enrol("1001", "Ada's laptop"))
	p.await(softphone.Registered, time.Time{})
	p.stop()
	s.await("1001", "inactive", time.Now())
	eventually(t, "the timeline tells of the fault", func() (bool, any) {
		if nc, err := tls.Dial("tcp", s.gateway.SIPAddress("tls"), &tls.Config{ServerName: "localhost"}); err == nil { // it trusts the system's CAs
			_ = nc.Close()
			t.Fatal("trusted")
		}
		u := s.status("1001")
		return strings.Contains(u.Timeline[0].Text, "TLS handshake from 127.0.0.1, where this user's phone"), u.Timeline[0]
	})
	u := s.status("1001")
	mustContain(t, "the timeline", u.Timeline[0].Text, "was registered until", "most likely", "certificate", "Ada's laptop")
	if u.State != "inactive" || u.Timeline[0].Kind != "warning" {
		t.Errorf("a guess changed the state: %s, %+v", u.State, u.Timeline[0])
	}
}
