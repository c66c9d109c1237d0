package interop_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"demarc/softphone"

	"github.com/chromedp/chromedp"
)

// page registers with JsSIP as a web page would: by HA1, over WSS. Its title says how that went.
const page = `<!doctype html><title>loading</title><script src="/jssip.js"></script><script>
const query = new URLSearchParams(location.search)
const socket = new JsSIP.WebSocketInterface(query.get("server"))
const phone = new JsSIP.UA({sockets: [socket], uri: "sip:1001@` + domain + `", authorization_user: "1001",
	realm: "` + domain + `", ha1: query.get("ha1"), register_expires: 60, user_agent: "JsSIP page"})
phone.on("registered", () => { document.title = "registered" })
phone.on("registrationFailed", e => { document.title = "failed: " + e.cause })
phone.on("disconnected", e => { document.title = "disconnected" })
phone.start()
</script>`

// pages serves the page and the library, as somebody's web server would.
func pages(t *testing.T) *httptest.Server {
	t.Helper()
	const library = "../setup/npm/jssip.js"
	if _, err := os.Stat(library); err != nil {
		t.Fatal("JsSIP is not installed: run test/setup/packages")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jssip.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, library) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// browserAddress returns the URL that a user's credential names for browsers.
func (s *system) browserAddress(extension string) string {
	s.t.Helper()
	profile, err := softphone.Enrol(s.t.Context(), softphone.Enrolment{Link: s.enrolmentLink(extension), Name: "page"})
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.gateway.URL()+"/v1/devices/"+profile.DeviceID+"/credential", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+profile.Token.Reveal())
	reply, err := s.admin.Client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	var credential struct {
		Registrars []struct {
			Host, Transport, Path string
			Port                  int
		}
	}
	if err := json.NewDecoder(reply.Body).Decode(&credential); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range credential.Registrars {
		if r.Transport == "wss" {
			return fmt.Sprintf("wss://%s:%d%s", r.Host, r.Port, r.Path)
		}
	}
	s.t.Fatalf("no address for browsers among %+v", credential.Registrars)
	return ""
}

// A page registers by HA1 over WSS; another host's page may not even connect; a wrong HA1 is refused with a reason.
func TestJsSIPInChromium(t *testing.T) {
	s := newSystem(t)
	where := s.browserAddress("1002")
	browser := chromium(t, s)
	server := pages(t)
	ha1 := func(password string) string {
		sum := md5.Sum([]byte("1001:" + domain + ":" + password))
		return hex.EncodeToString(sum[:])
	}
	open := func(host, password, title string) (closePage func()) {
		t.Helper()
		base := strings.Replace(server.URL, "127.0.0.1", host, 1)
		address := fmt.Sprintf("%s/?ha1=%s&server=%s", base, ha1(password), where)
		tab, closePage := chromedp.NewContext(browser)
		if err := chromedp.Do(tab, chromedp.Navigate(address)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the page's title is "+title, func() (bool, any) {
			got, err := chromedp.Run(tab, chromedp.Title())
			return err == nil && strings.HasPrefix(got, title), got
		})
		return closePage
	}
	leave := open("127.0.0.1", adaPassword, "registered")
	u := s.await("1001", "is registered", is("registered"))
	if len(u.Devices) != 1 || u.Devices[0].Transport != "wss" || !strings.HasPrefix(u.Devices[0].UserAgent, "JsSIP page") {
		t.Errorf("devices: %+v", u.Devices)
	}
	leave()
	s.await("1001", "is inactive", is("inactive"))
	open("localhost", adaPassword, "disconnected")() // a page of another origin
	defer open("127.0.0.1", "wrong", "failed: Authentication Error")()
	u = s.await("1001", "is refused", is("sip_error"))
	if u.SIPCode != 401 {
		t.Errorf("support reads %d %q", u.SIPCode, u.Text)
	}
}
