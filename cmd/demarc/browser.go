package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// browser walks pages and forms as a person would: cookies, redirects, hidden fields. The link and the demo go through the
// same sign-in and consent pages as an admin, so what works here works in front of one.
type browser struct {
	client *http.Client
	at     *url.URL
	status int
	page   *html.Node
}

// newBrowser returns a browser that trusts the CA alone.
func newBrowser(roots *x509.CertPool) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &browser{client: &http.Client{
		Jar:       jar,
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
	}}, nil
}

func (b *browser) open(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	return b.load(req)
}

// submit fills the page's form whose button has the value action and presses that button. An empty action presses the
// only form's button.
func (b *browser) submit(ctx context.Context, action string, fields map[string]string) error {
	form, button := findForm(b.page, action)
	if form == nil {
		return fmt.Errorf("%s has no form with the button %q: %s", b.at.Path, action, b.text())
	}
	values := url.Values{}
	for input := range elements(form, "input") {
		if attr(input, "type") != "checkbox" || has(input, "checked") {
			values.Set(attr(input, "name"), attr(input, "value"))
		}
	}
	for name, value := range fields {
		values.Set(name, value)
	}
	if name := attr(button, "name"); name != "" {
		values.Set(name, attr(button, "value"))
	}
	target, err := b.at.Parse(attr(form, "action"))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.load(req)
}

func (b *browser) load(req *http.Request) error {
	reply, err := b.client.Do(req)
	if failed := (*url.Error)(nil); errors.As(err, &failed) { // its address would show a one-time link or a code
		return fmt.Errorf("%s is not reached: %w", req.URL.Host, failed.Err)
	}
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	const largest = 4 << 20
	page, err := html.Parse(io.LimitReader(reply.Body, largest))
	if err != nil {
		return err
	}
	b.at, b.page, b.status = reply.Request.URL, page, reply.StatusCode
	if reply.StatusCode >= 400 {
		return fmt.Errorf("%s answered %d: %s", b.at.Host+b.at.Path, reply.StatusCode, b.text())
	}
	return nil
}

// text returns what the page says, for errors.
func (b *browser) text() string {
	if b.page == nil {
		return ""
	}
	var words []string
	var read func(*html.Node)
	read = func(n *html.Node) {
		if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style" || n.Data == "head") {
			return
		}
		if n.Type == html.TextNode {
			words = append(words, strings.Fields(n.Data)...)
		}
		for child := range n.ChildNodes() {
			read(child)
		}
	}
	read(b.page)
	text := strings.Join(words, " ")
	if len(text) > 400 {
		text = text[:400] + " …"
	}
	return text
}

func findForm(page *html.Node, action string) (form, button *html.Node) {
	if page == nil {
		return nil, nil
	}
	for f := range elements(page, "form") {
		for b := range elements(f, "button") {
			if action == "" || attr(b, "value") == action {
				return f, b
			}
		}
	}
	return nil, nil
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

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
