package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"demarc/internal/config"
	"demarc/test/persontest"
)

// onePort lets phones and browsers come to one port, and sends media elsewhere.
func onePort(c *config.Config) {
	c.Telephony.Listeners[0].Media = "192.0.2.7"
	c.Telephony.Listeners = append(c.Telephony.Listeners, config.Listener{
		Name: "browsers", Transport: "wss", Shares: "tls", Path: "/sip", Media: "localhost",
	})
}

// A softphone in a browser learns from its credential where to register.
func TestCredentialNamesTheAddressForBrowsers(t *testing.T) {
	t.Parallel()
	s := newSite(t, onePort)
	s.ready()
	var credential struct {
		Registrars []struct {
			Role, Host, Transport, Path string
			Port                        int
		}
	}
	if err := json.Unmarshal([]byte(s.handedOut(s.enrol("1001", "Ada's page"))), &credential); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range credential.Registrars {
		got = append(got, fmt.Sprintf("%s %s://%s:%d%s", r.Role, r.Transport, r.Host, r.Port, r.Path))
	}
	_, port, _ := strings.Cut(s.gateway.SIPAddress("tls"), ":")
	want := "sbc tls://localhost:" + port + ", sbc wss://localhost:" + port + "/sip, internal tls://localhost:" + port +
		", internal wss://localhost:" + port + "/sip"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if got := s.gateway.MediaAddress("tls").String() + " " + s.gateway.MediaAddress("browsers").String(); got != "192.0.2.7 127.0.0.1" {
		t.Errorf("media to %s", got)
	}
}

// Linphone cannot come over WebSockets: its document names the first address that it can use.
func TestDocumentLeavesOutAddressesForBrowsers(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *config.Config) {
		c.Telephony.Directory = write(t, shortDir(t), "users.yaml", strings.Replace(users, "  registration_expires", `  registrars:
    - {role: sbc, host: web.pbx.test, transport: wss, path: /sip}
    - {role: sbc, host: sbc.pbx.test, port: 5061, transport: tls}
  registration_expires`, 1))
	})
	s.ready()
	var link struct{ URL string }
	s.owner.Call(http.MethodPost, "/v1/users/"+s.ids["1002"]+"/document-links",
		map[string]string{"app": "linphone", "kind": "desktop"}, &link)
	reader := persontest.New(t, s.gateway.URL(), s.gateway.CAPEM())
	if _, document := reader.Do(reader.Request(http.MethodGet, link.URL, nil)); !strings.Contains(document,
		"sip:sbc.pbx.test:5061;transport=tls") || strings.Contains(document, "web.pbx.test") {
		t.Error(document)
	}
}
