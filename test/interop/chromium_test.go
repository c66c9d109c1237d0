package interop_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// chromium starts a headless browser. It trusts the gateway's certificate by its key, as if the CA were installed; any
// other certificate stays an error.
func chromium(t *testing.T, s *system) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: run test/setup/packages")
	}
	var output lockedBuffer
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.CombinedOutput(&output),
		chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", keyPin(t, s)),
		// Pages talk to each other and to the gateway over loopback, and begin without a click.
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
	allocated, cancelBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancelBrowser)
	ctx, cancelTab := chromedp.NewContext(allocated)
	t.Cleanup(cancelTab)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("chromium said:\n%s", output.String())
		}
	})
	// The first action starts the browser, which lives as long as that action's context: no deadline here.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("chromium does not start: %v; it said:\n%s", err, output.String())
	}
	return ctx
}

// keyPin returns the hash of the server's public key, from a connection that was verified.
func keyPin(t *testing.T, s *system) string {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.gateway.CAPEM())
	address := strings.TrimPrefix(s.gateway.URL(), "https://")
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// An admin links the PBX in a browser: sign-in link, install, connector, sign-in at the service, consent. The first
// time they change their mind at the consent page, which changes nothing and says what to do.
func TestChromiumLinksThroughConsent(t *testing.T) {
	s := newGateway(t)
	ctx := chromium(t, s)
	email, password, err := s.gateway.CloudLinkAdmin()
	if err != nil {
		t.Fatal(err)
	}
	walk := func(name string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		bounded, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := chromedp.Do(bounded, steps...); err != nil {
			at, _ := chromedp.Run(ctx, chromedp.Location())
			page, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
			t.Fatalf("the admin %s: %v; the browser is at %s: %s", name, err, at, page)
		}
	}
	click := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)
	}
	fill := func(selector, value string) chromedp.Action[chromedp.Void] {
		return chromedp.SendKeys(chromedp.CSS(selector), value, chromedp.NodeVisible)
	}
	see := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.WaitVisible(chromedp.CSS(selector))
	}
	const connect, consent = `form[action$="/connect"] button`, `button[value="approve"]`

	walk("signs in with the one-time link", chromedp.Navigate(s.signInLink()), click(`form[action="/sign-in"] button`),
		see(`a[href="/connectors"]`))
	walk("installs the app", click(`a[href="/connectors"]`), click(`form[action="/app"] button`))
	walk("creates a connector", fill(`input[name="name"]`, "Head office"),
		fill(`input[name="base"]`, s.gateway.CloudLinkURL()), click(`form[action="/connectors"] button`))
	walk("signs in at the service", click(connect), fill(`#email`, email), fill(`#password`, password.Reveal()),
		click(`button[value="sign-in"]`), see(consent))
	walk("cancels at the consent page", click(`button[value="cancel"]`), see(`a.button[href="/connectors"]`))
	says, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil || !strings.Contains(says, "nothing was changed") || !strings.Contains(says, "Choose Connect again") {
		t.Errorf("after cancelling the page says %q (%v)", says, err)
	}
	walk("goes back, finds nothing linked, connects again and consents", click(`a.button[href="/connectors"]`),
		see(`.state.is-unlinked`), click(connect), click(consent), see(`.state.is-linked`))
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil || at != s.gateway.URL()+"/connectors" {
		t.Errorf("the browser ended at %s (%v)", at, err)
	}
}
