package interop_test

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

// admin is a person with a browser: cookies, redirects, forms, and the JSON API with the same session.
type admin struct {
	t      *testing.T
	server string
	client *http.Client
	at     *url.URL
	page   *html.Node
}

func newAdmin(t *testing.T, server string, ca []byte) *admin {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the gateway's CA cannot be read")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &admin{t: t, server: server, client: &http.Client{Jar: jar, Transport: transport, Timeout: patience}}
}

// open loads a page.
func (a *admin) open(address string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	a.load(req)
}

// press presses a button of the page, by its value or the only one, with the fields filled.
func (a *admin) press(button string, fields map[string]string) {
	a.t.Helper()
	for form := range elements(a.page, "form") {
		for b := range elements(form, "button") {
			if button != "" && attr(b, "value") != button {
				continue
			}
			values := url.Values{}
			for input := range elements(form, "input") {
				values.Set(attr(input, "name"), attr(input, "value"))
			}
			for name, value := range fields {
				values.Set(name, value)
			}
			values.Set(attr(b, "name"), attr(b, "value"))
			a.submit(attr(form, "action"), values)
			return
		}
	}
	a.t.Fatalf("%s has no button %q: %s", a.at, button, text(a.page))
}

func (a *admin) submit(action string, values url.Values) {
	a.t.Helper()
	target, err := a.at.Parse(action)
	if err != nil {
		a.t.Fatal(err)
	}
	body := strings.NewReader(values.Encode())
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, target.String(), body)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	a.load(req)
}

func (a *admin) load(req *http.Request) {
	a.t.Helper()
	reply, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := html.Parse(reply.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	a.at, a.page = reply.Request.URL, page
	if reply.StatusCode >= 400 {
		a.t.Fatalf("%s: %d: %s", a.at, reply.StatusCode, text(page))
	}
}

// call asks the JSON API; in and out may be nil.
func (a *admin) call(method, path string, in, out any) {
	a.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.server+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	reply, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode >= 400 {
		a.t.Fatalf("%s %s: %d %s %v", method, path, reply.StatusCode, answer, err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		a.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
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

func text(n *html.Node) string {
	var words []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			words = append(words, strings.Fields(d.Data)...)
		}
	}
	return strings.Join(words, " ")
}
