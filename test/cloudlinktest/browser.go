package cloudlinktest

import (
	"crypto/tls"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Browser is an admin's browser: it keeps cookies and sends forms as a browser does, and leaves redirects to the test.
type Browser struct {
	t      testing.TB
	client *http.Client
	origin string
}

// Page is an answer as the browser got it.
type Page struct {
	Status   int
	Header   http.Header
	Body     string
	Location string
}

// Browser returns a fresh browser.
func (s *Service) Browser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{t: t, origin: s.URL, client: &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Get opens an address.
func (b *Browser) Get(address string) Page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req)
}

// Post sends a form from the given site ("same-origin", "cross-site", …).
func (b *Browser) Post(address, site string, form url.Values) Page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	return b.do(req)
}

// Forget drops a cookie.
func (b *Browser) Forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.client.Jar = jar
}

func (b *Browser) do(req *http.Request) Page {
	b.t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return Page{Status: res.StatusCode, Header: res.Header, Body: string(body), Location: res.Header.Get("Location")}
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	formTicket = regexp.MustCompile(`name="ticket" value="([^"]+)"`)
)

// Ticket returns the hidden field of the page's form.
func (p Page) Ticket() string {
	if m := formTicket.FindStringSubmatch(p.Body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// Submit sends the page's form with an action and more fields.
func (b *Browser) Submit(p Page, action string, more url.Values) Page {
	b.t.Helper()
	m := formAction.FindStringSubmatch(p.Body)
	if m == nil {
		b.t.Fatalf("no form in this page (status %d): %s", p.Status, p.Body)
	}
	form := url.Values{"action": {action}, "ticket": {p.Ticket()}}
	for name, values := range more {
		form[name] = values
	}
	return b.Post(b.origin+html.UnescapeString(m[1]), "same-origin", form)
}

// SignIn opens an authorisation request, signs in, and returns the page after it.
func (b *Browser) SignIn(authorizeURL, email string) Page {
	b.t.Helper()
	page := b.Submit(b.Get(authorizeURL), "sign-in", url.Values{"email": {email}, "password": {Password}})
	if page.Status != http.StatusSeeOther {
		b.t.Fatalf("sign-in of %s: status %d: %s", email, page.Status, page.Body)
	}
	return b.Get(b.origin + page.Location)
}

// Consent signs in, allows the link, and returns what the app's callback would get.
func (b *Browser) Consent(authorizeURL, email string) url.Values {
	b.t.Helper()
	return b.Callback(b.Submit(b.SignIn(authorizeURL, email), "approve", nil))
}

// Callback reads the redirect to the app.
func (b *Browser) Callback(p Page) url.Values {
	b.t.Helper()
	target, err := url.Parse(p.Location)
	if err != nil || p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, RedirectURI+"?") {
		b.t.Fatalf("not a redirect to the app: status %d, %q: %s", p.Status, p.Location, p.Body)
	}
	return target.Query()
}
