package e2e_test

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

	"golang.org/x/net/html"
)

// person is a member with a browser: cookies, redirects, forms, and the JSON API with the same session.
type person struct {
	t      *testing.T
	server string
	client *http.Client
	roots  *x509.CertPool
	at     *url.URL
	page   *html.Node
}

func newPerson(t *testing.T, server string, ca ...[]byte) *person {
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
	return &person{
		t: t, server: server, roots: roots, client: &http.Client{Jar: jar, Transport: transport, Timeout: patience},
	}
}

func (p *person) signIn(link string) {
	p.t.Helper()
	p.open(link)
	p.press("", nil)
}

// open loads a page.
func (p *person) open(address string) {
	p.t.Helper()
	p.load(p.request(http.MethodGet, address, nil))
}

func (p *person) request(method, address string, body io.Reader) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, address, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return req
}

// press presses a button of the page by its value, or the first one, with the fields of its form filled.
func (p *person) press(button string, fields map[string]string) {
	p.t.Helper()
	for form := range elements(p.page, "form") {
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
	p.t.Fatalf("%s has no button %q: %s", p.at, button, words(p.page))
}

func (p *person) send(action string, values url.Values) {
	p.t.Helper()
	target, err := p.at.Parse(action)
	if err != nil {
		p.t.Fatal(err)
	}
	req := p.request(http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	p.load(req)
}

func (p *person) load(req *http.Request) {
	p.t.Helper()
	reply, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := html.Parse(reply.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.at, p.page = reply.Request.URL, page
	if reply.StatusCode >= 400 {
		p.t.Fatalf("%s: %d: %s", p.at, reply.StatusCode, words(page))
	}
}

// call asks the JSON API, which must agree. in is nil, a CSV file or what becomes JSON; out may be nil.
func (p *person) call(method, path string, in, out any) {
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
	req := p.request(method, p.server+path, body)
	req.Header.Set("Content-Type", kind)
	status, answer := p.do(req)
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

func (p *person) do(req *http.Request) (status int, body string) {
	p.t.Helper()
	reply, err := p.client.Do(req)
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

// words returns what a page says.
func words(n *html.Node) string {
	var all []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			all = append(all, strings.Fields(d.Data)...)
		}
	}
	return strings.Join(all, " ")
}

// stream opens a page's stream of events.
func (s *site) stream(path string) io.ReadCloser {
	s.t.Helper()
	reply, err := s.owner.client.Do(s.owner.request(http.MethodGet, s.gateway.URL()+path, nil))
	if err != nil {
		s.t.Fatal(err)
	}
	if kind := reply.Header.Get("Content-Type"); kind != "text/event-stream" {
		s.t.Fatalf("%s is %q", path, kind)
	}
	return reply.Body
}
