package e2e_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"demarc/softphone"
)

// chromium is an admin in front of a real browser that has imported the CAs.
type chromium struct {
	t   *testing.T
	ctx context.Context
}

// newChromium starts a headless browser with a home of its own, in whose certificate store the CAs are, as an admin
// would import them. Any other certificate is an error.
func newChromium(t *testing.T, authorities ...[]byte) *chromium {
	t.Helper()
	home, err := os.MkdirTemp("", "demarc-chromium")
	if err != nil {
		t.Fatal(err)
	}
	importAuthorities(t, filepath.Join(home, ".pki", "nssdb"), authorities)
	output := new(buffer)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.CombinedOutput(output),
		chromedp.WSURLReadTimeout(patience), chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	allocated, cancelBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelTab := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		cancelTab()
		cancelBrowser()
		_ = os.RemoveAll(home) // the browser may still write its last files
		if t.Failed() {
			t.Logf("chromium said:\n%s", output)
		}
	})
	// The first action starts the browser, which lives as long as that action's context: no deadline here.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("chromium does not start (test/setup/packages installs it): %v", err)
	}
	return &chromium{t: t, ctx: ctx}
}

// importAuthorities makes an NSS database that trusts the CAs for servers.
func importAuthorities(t *testing.T, dir string, authorities [][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	certutil := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), "certutil", args...).CombinedOutput(); err != nil {
			t.Fatalf("certutil (test/setup/packages installs it): %v: %s", err, out)
		}
	}
	certutil("-N", "-d", "sql:"+dir, "--empty-password")
	for i, pem := range authorities {
		name := "authority-" + string(rune('a'+i))
		certutil("-A", "-d", "sql:"+dir, "-n", name, "-t", "C,,", "-i", write(t, dir, name+".pem", string(pem)))
	}
}

// does takes steps that must all work in time.
func (c *chromium) does(what string, steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		c.t.Fatalf("the admin %s: %v; the browser is at %s: %s", what, err, c.at(), c.reads())
	}
}

func (c *chromium) at() string {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		c.t.Fatal(err)
	}
	return at
}

// reads returns what the page says.
func (c *chromium) reads() string {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// asks evaluates an expression in the page.
func (c *chromium) asks(expression string) bool {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
	if err != nil {
		c.t.Fatal(err)
	}
	return yes
}

func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)
}

func fill(selector, value string) chromedp.Action[chromedp.Void] {
	return chromedp.SendKeys(chromedp.CSS(selector), value, chromedp.NodeVisible)
}

func see(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(selector))
}

// What the admin presses and looks for.
const (
	connect = `form[action$="/connect"] button`
	approve = `button[value="approve"]`
	signIn  = `button[value="sign-in"]`
	cancel  = `button[value="cancel"]`
	message = `main .card h1`
)

// An admin links the phone system in a browser after everything that can go wrong has gone wrong once: each time a page
// says what to do, and nothing has changed. Then the status page shows by itself that a phone registers.
func TestChromiumLinks(t *testing.T) {
	t.Parallel()
	s, x, _ := tapped(t, "")
	s.signIn()
	c := newChromium(t, s.gateway.CAPEM(), x.authority.CAPEM())
	c.does("signs in", chromedp.Navigate(s.signInLink()), click(`form[action="/sign-in"] button`),
		see(`a[href="/connectors"]`))
	c.does("installs the app and makes a connector", click(`a[href="/connectors"]`), click(`form[action="/app"] button`),
		fill(`input[name="name"]`, "Head office"), fill(`input[name="base"]`, x.url),
		click(`form[action="/connectors"] button`), see(connect))

	wrongPassword(c, s)
	cancelled(c, s)
	tamperedState(c, s)
	unreachable(c, s, x)
	back := linked(c, s, x)
	replayed(c, s, back)
	followsByItself(c, s)
}

// stays fails unless the page says what is wrong and what to do, and the connector is in the state.
func (c *chromium) stays(s *site, state string, says ...string) {
	c.t.Helper()
	mustContain(c.t, "the page at "+c.at(), c.reads(), says...)
	var all struct{ Connectors []connector }
	s.owner.Call(http.MethodGet, "/v1/connectors", nil, &all)
	if len(all.Connectors) != 1 || all.Connectors[0].State != state {
		c.t.Errorf("the connectors are %+v, want one that is %s", all.Connectors, state)
	}
}

func (c *chromium) connects(s *site) {
	c.t.Helper()
	c.does("chooses Connect", chromedp.Navigate(s.gateway.URL()+"/connectors"), click(connect))
}

func wrongPassword(c *chromium, s *site) {
	email, _ := s.serviceAdmin()
	c.connects(s)
	c.does("types a wrong password", fill("#email", email), fill("#password", "not the password"), click(signIn),
		see("#fault"))
	c.stays(s, "unlinked", "email", "password")
}

func cancelled(c *chromium, s *site) {
	_, password := s.serviceAdmin()
	c.does("signs in at the service and changes their mind", fill("#password", password.Reveal()), click(signIn),
		see(approve), click(cancel), see(message))
	c.stays(s, "unlinked", "cancelled", "nothing was changed", "choose connect again")
}

// tamperedState changes the state on its way, as somebody would who plants an answer of their own.
func tamperedState(c *chromium, s *site) {
	c.connects(s)
	c.does("reads the consent page", see(approve))
	at := c.at()
	c.does("consents with a changed state", chromedp.Navigate(withQuery(c.t, at, "state", "planted")), click(approve),
		see(message))
	c.stays(s, "unlinked", "not started here", "nothing was changed", "choose connect again", "close this page")
}

func unreachable(c *chromium, s *site, x *tap) {
	c.connects(s)
	x.mute.Store(true)
	c.does("consents while the service does not answer the gateway", click(approve), see(message))
	x.mute.Store(false)
	c.stays(s, "unlinked", "cannot be reached", "nothing was changed", "address and the network", "connect again")
}

// linked returns where the service sent the browser back to.
func linked(c *chromium, s *site, x *tap) string {
	c.connects(s)
	c.does("consents", click(approve), see(".state.is-linked"))
	if at := c.at(); at != s.gateway.URL()+"/connectors" {
		c.t.Errorf("the browser ended at %s", at)
	}
	c.stays(s, "linked", "Linked")
	return x.find(c.t, "a consent", func(e exchange) bool { return e.form("action") == "approve" }).header.Get("Location")
}

func replayed(c *chromium, s *site, back string) {
	c.does("goes back to the callback", chromedp.Navigate(back), see(message))
	c.stays(s, "linked", "used before", "nothing was changed", "choose connect again")
}

// followsByItself: the page that is open changes; it is not loaded again.
func followsByItself(c *chromium, s *site) {
	s.importPeople()
	s.sync()
	profile := s.enrol("1001", "Ada's laptop")
	c.does("opens the status page", chromedp.Navigate(s.gateway.URL()+"/"), see("td .state.is-inactive"))
	c.asks("window.samePage = true")
	p := newPhone(c.t, profile)
	on := p.await(softphone.Registered, time.Time{})
	c.does("watches", see("td .state.is-registered"))
	c.t.Logf("the open page shows it after %v", time.Since(on.At).Round(time.Millisecond))
	if !c.asks("window.samePage === true") {
		c.t.Error("the page was loaded again")
	}
	mustContain(c.t, "the status page", c.reads(), "Ada Lovelace", "Ada's laptop", "1001")
	p.stop()
	c.does("watches on", chromedp.WaitNotPresent(chromedp.CSS("td .state.is-registered")))
}
