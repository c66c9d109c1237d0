package interop_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// webphone is JsSIP in a page of Chromium that calls: it says the tone of an oscillator and keeps the last seconds of what
// it hears. Sessions are numbered in their order; what is done is done to the newest.
type webphone struct {
	t   *testing.T
	tab context.Context
}

// phonePages serves the page and the library, as somebody's web server would.
func phonePages(t *testing.T) string {
	t.Helper()
	const library, page = "../setup/npm/jssip.js", "testdata/phone.html"
	if _, err := os.Stat(library); err != nil {
		t.Fatal("JsSIP is not installed: run test/setup/packages")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jssip.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, library) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, page) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// newWebphone opens a page that registers with the HA1 of a password.
func newWebphone(t *testing.T, browser context.Context, pages, server string, hertz float64, user, password string) *webphone {
	t.Helper()
	sum := md5.Sum([]byte(user + ":" + domain + ":" + password))
	query := url.Values{"server": {server}, "user": {user}, "domain": {domain}, "ha1": {hex.EncodeToString(sum[:])},
		"tone": {fmt.Sprint(hertz)}}
	tab, closePage := chromedp.NewContext(browser)
	t.Cleanup(closePage)
	w := &webphone{t: t, tab: tab}
	if err := chromedp.Do(tab, chromedp.Navigate(pages+"/?"+query.Encode())); err != nil {
		t.Fatal(err)
	}
	return w
}

// run evaluates an expression in the page.
func run[T any](w *webphone, format string, values ...any) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.tab, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](fmt.Sprintf(format, values...)))
	if err != nil {
		w.t.Fatalf("the page: "+format+": %v", append(values, err)...)
	}
	return result
}

// happened returns what the page's phone has told so far.
func (w *webphone) happened() []string { return run[[]string](w, "happened") }

// await waits until something has happened n times, to whichever session.
func (w *webphone) await(what string, n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("the page tells %q %d times", what, n), func() (bool, any) {
		happened := w.happened()
		return strings.Count(strings.Join(happened, "\n"), what) >= n, happened
	})
}

func (w *webphone) do(what string) { w.t.Helper(); run[bool](w, "(%s, true)", what) }

// newest is the session that things are done to.
const newest = "sessions.length - 1"

func (w *webphone) awaitRegistered()    { w.t.Helper(); w.await("registered", 1) }
func (w *webphone) dial(uri string)     { w.t.Helper(); w.do(fmt.Sprintf("dial(%q)", uri)) }
func (w *webphone) awaitRing()          { w.t.Helper(); w.await(" rings", 1) }
func (w *webphone) awaitTalk(calls int) { w.t.Helper(); w.await(" talks", calls) }
func (w *webphone) awaitEnd()           { w.t.Helper(); w.await(" ended", 1) }
func (w *webphone) answer()             { w.t.Helper(); w.do("answer(" + newest + ")") }
func (w *webphone) hangup()             { w.t.Helper(); w.do("hangup(" + newest + ")") }
func (w *webphone) hold()               { w.t.Helper(); w.do("hold(" + newest + ")") }
func (w *webphone) resume()             { w.t.Helper(); w.do("resume(" + newest + ")") }
func (w *webphone) press(digits string) {
	w.t.Helper()
	w.do(fmt.Sprintf("press(%s, %q)", newest, digits))
}
func (w *webphone) refer(uri string) { w.t.Helper(); w.do(fmt.Sprintf("refer(%s, %q)", newest, uri)) }

// join transfers its first call to its second.
func (w *webphone) join() { w.t.Helper(); w.do("refer(0, sessions[1].remote_identity.uri, 1)") }

func (w *webphone) heard() (sound, error) {
	b, err := base64.StdEncoding.DecodeString(run[string](w, "recording()"))
	if err != nil || len(b) == 0 {
		return sound{}, fmt.Errorf("the page has heard nothing: %w", err)
	}
	return sound{rate: run[int](w, "rate"), samples: samples(b, 1)}, nil
}
