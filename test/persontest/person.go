package persontest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// Person is a member with a browser: cookies, redirects, forms, and the JSON API with the same session.
type Person struct {
	Server string // https://host:port of the API
	Client *http.Client
	Roots  *x509.CertPool // whom the browser trusts
	At     *url.URL       // the page that is open
	Page   *html.Node

	t testing.TB
}

const patience = 20 * time.Second

// New returns a person in front of the server, whose browser trusts the CAs alone.
func New(t testing.TB, server string, ca ...[]byte) *Person {
	t.Helper()
	roots := x509.NewCertPool()
	for _, pem := range ca {
		if !roots.AppendCertsFromPEM(pem) {
			t.Fatal("a CA certificate cannot be read")
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &Person{
		t: t, Server: server, Roots: roots, Client: &http.Client{Jar: jar, Transport: transport, Timeout: patience},
	}
}

// SignIn opens a one-time link and presses its button.
func (p *Person) SignIn(link string) {
	p.t.Helper()
	p.Open(link)
	p.Press("", nil)
}

// Open loads a page.
func (p *Person) Open(address string) {
	p.t.Helper()
	p.load(p.Request(http.MethodGet, address, nil))
}

// Request returns a request that is cut off with the test.
func (p *Person) Request(method, address string, body io.Reader) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, address, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return req
}

// Press presses a button of the page by its value, or the first one, with the fields of its form filled.
func (p *Person) Press(button string, fields map[string]string) {
	p.t.Helper()
	for form := range elements(p.Page, "form") {
		for b := range elements(form, "button") {
			if button != "" && attr(b, "value") != button {
				continue
			}
			values := url.Values{attr(b, "name"): {attr(b, "value")}}
			for input := range elements(form, "input") {
				values.Set(attr(input, "name"), attr(input, "value"))
			}
			for name, value := range fields {
				values.Set(name, value)
			}
			p.send(attr(form, "action"), values)
			return
		}
	}
	p.t.Fatalf("%s has no button %q: %s", p.At, button, Words(p.Page))
}

func (p *Person) send(action string, values url.Values) {
	p.t.Helper()
	target, err := p.At.Parse(action)
	if err != nil {
		p.t.Fatal(err)
	}
	req := p.Request(http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	p.load(req)
}

func (p *Person) load(req *http.Request) {
	p.t.Helper()
	reply, err := p.Client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := html.Parse(reply.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.At, p.Page = reply.Request.URL, page
	if reply.StatusCode >= 400 {
		p.t.Fatalf("%s: %d: %s", p.At, reply.StatusCode, Words(page))
	}
}

// Call asks the JSON API, which must agree. in is nil, a CSV file or what becomes JSON; out may be nil.
func (p *Person) Call(method, path string, in, out any) {
	p.t.Helper()
	var body io.Reader
	kind := "application/json"
	switch x := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(x), "text/csv"
	default:
		encoded, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		body = bytes.NewReader(encoded)
	}
	req := p.Request(method, p.Server+path, body)
	req.Header.Set("Content-Type", kind)
	status, answer := p.Do(req)
	if status >= 400 {
		p.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		p.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

// Do sends a request with the cookies of the browser.
func (p *Person) Do(req *http.Request) (status int, body string) {
	p.t.Helper()
	reply, err := p.Client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	content, err := io.ReadAll(reply.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply.StatusCode, string(content)
}

// Cookie returns the value of a cookie that the server has set, or nothing.
func (p *Person) Cookie(name string) string {
	p.t.Helper()
	u, err := url.Parse(p.Server)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, k := range p.Client.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

func elements(n *html.Node, name string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for d := range n.Descendants() {
			if d.Type == html.ElementNode && d.Data == name && !yield(d) {
				return
			}
		}
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Words returns what a page says.
func Words(n *html.Node) string {
	var all []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			all = append(all, strings.Fields(d.Data)...)
		}
	}
	return strings.Join(all, " ")
}
