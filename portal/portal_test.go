package portal_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"demarc/connector"
	"demarc/internal/account"
	"demarc/portal"
	"demarc/provisioning"
	"demarc/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func open(t *testing.T, w *world, log io.Writer, done <-chan struct{}) *browser {
	t.Helper()
	srv := httptest.NewTLSServer(portal.New(portal.Config{
		Access: w, Provisioning: w, Connectors: w, Sync: w, Log: slog.New(slog.NewJSONHandler(log, nil)),
		Now: func() time.Time { return w.now }, Done: done, Refresh: 10 * time.Millisecond,
	}))
	t.Cleanup(srv.Close)
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: t, base: srv.URL, http: c}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends one request with the cookie of a role, or none. A body makes it a form.
func (b *browser) do(cookie, method, path string, form url.Values, headers ...string) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.send(cookie, r)
}

func (b *browser) send(cookie string, r *http.Request) answer {
	b.t.Helper()
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: portal.SessionCookie, Value: cookie})
	}
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(raw)}
}

func TestALinkScannerDoesNotBurnTheLink(t *testing.T) {
	w := newWorld()
	var log strings.Builder
	b := open(t, w, &log, nil)
	for range 3 {
		a := b.do("", "GET", "/sign-in?token=link-owner", nil)
		if a.status != 200 || !strings.Contains(a.body, `value="link-owner"`) || len(a.header["Set-Cookie"]) != 0 {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
	}
	a := b.do("cookie-user", "POST", "/sign-in", url.Values{"token": {"link-owner"}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-demarc=fresh", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) || strings.Contains(cookie, "Domain") {
			t.Errorf("cookie %q lacks %q or names a domain", cookie, want)
		}
	}
	if a := b.do("cookie-user", "GET", "/", nil); a.status != http.StatusSeeOther {
		t.Errorf("the session before still works: %d", a.status)
	}
	a = b.do("", "POST", "/sign-in", url.Values{"token": {"link-owner"}})
	if a.status != http.StatusGone || !strings.Contains(a.body, "used up") || len(a.header["Set-Cookie"]) != 0 {
		t.Errorf("second use: %d %v", a.status, a.header)
	}
	if strings.Contains(log.String(), "link-owner") || strings.Contains(log.String(), "fresh") {
		t.Errorf("a token was logged: %s", log.String())
	}
}

func TestStatusTable(t *testing.T) {
	b := open(t, newWorld(), io.Discard, nil)
	a := b.do("cookie-support", "GET", "/", nil)
	for _, want := range []string{
		"Ann Berg", "SIP error <b>1</b>", "Registered <b>1</b>", `<span class="sip">401</span>`, "realm or algorithm differ",
		"Laptop", "3 h ago", "Never registered.", `data-source="/live?"`, `<meta http-equiv="refresh"`,
		"Ben &lt;script&gt;alert(1)&lt;/script&gt;",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"<script>alert", "Sync now", "style=", "onclick", "http://", "https://"} {
		if strings.Contains(a.body, no) {
			t.Errorf("the page of support has %q", no)
		}
	}
	a = b.do("cookie-support", "GET", "/?state=sip_error&q=ben", nil)
	if !strings.Contains(a.body, "Ben") || strings.Contains(a.body, "Ann Berg") ||
		!strings.Contains(a.body, `name="state" value="sip_error"`) || !strings.Contains(a.body, `value="ben"`) {
		t.Error("filter or search is lost")
	}
	a = b.do("cookie-user", "GET", "/", nil)
	if strings.Contains(a.body, "Ann Berg") || !strings.Contains(a.body, "Ursula User</a>") ||
		strings.Contains(a.body, "Registered <b>1</b>") {
		t.Error("a user sees more than their own line")
	}
}

func TestHeaders(t *testing.T) {
	b := open(t, newWorld(), io.Discard, nil)
	for _, path := range []string{"/", "/users/usr_1", "/connectors", "/import", "/members", "/sign-in", "/nothing"} {
		h := b.do("cookie-owner", "GET", path, nil).header
		csp := h.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || h.Get("Cache-Control") !=
			"no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
		if (path == "/connectors") != strings.HasSuffix(csp, "form-action 'self' https://cloudlink.example.com") {
			t.Errorf("%s: %s", path, csp)
		}
	}
}

func TestAssetsAreKept(t *testing.T) {
	b := open(t, newWorld(), io.Discard, nil)
	body := b.do("", "GET", "/sign-in", nil).body
	_, rest, _ := strings.Cut(body, `rel="stylesheet" href="`)
	path, _, _ := strings.Cut(rest, `"`)
	a := b.do("", "GET", path, nil)
	if a.status != 200 || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d %v", path, a.status, a.header)
	}
	if a := b.do("", "GET", "/assets/none.css", nil); a.status != 404 {
		t.Errorf("an asset that is not there: %d", a.status)
	}
}

// requests lists every page and form with the least role that may use it.
func requests() []struct {
	method, path string
	form         url.Values
	allowed      string // of owner admin support user, their first letters
} {
	return []struct {
		method, path string
		form         url.Values
		allowed      string
	}{
		{"GET", "/", nil, "oasu"},
		{"GET", "/users/usr_1", nil, "oas"},
		{"GET", "/users/usr_3", nil, "oasu"},
		{"POST", "/users", url.Values{"email": {"n@x"}}, "oa"},
		{"POST", "/users/usr_1/code", nil, "oa"},
		{"POST", "/users/usr_3/code", nil, "oau"},
		{"POST", "/users/usr_1/document", nil, "oa"},
		{"POST", "/users/usr_1/sync", nil, "oa"},
		{"POST", "/users/usr_1/remove", nil, "oa"},
		{"POST", "/users/usr_1/devices/dev_1/revoke", nil, "oa"},
		{"GET", "/connectors", nil, "oas"},
		{"POST", "/connectors", url.Values{"name": {"n"}, "base": {"https://x"}}, "oa"},
		{"POST", "/app", nil, "oa"},
		{"POST", "/connectors/con_1/connect", nil, "oa"},
		{"POST", "/connectors/con_1/disconnect", nil, "oa"},
		{"POST", "/sync", nil, "oa"},
		{"GET", "/connect/callback?state=x", nil, "oa"},
		{"GET", "/import", nil, "oa"},
		{"POST", "/import/apply", url.Values{"content": {"eA=="}}, "oa"},
		{"GET", "/members", nil, "oa"},
		{"POST", "/members", url.Values{"email": {"n@x"}, "role": {"user"}}, "oa"},
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld()
	b := open(t, w, io.Discard, nil)
	for _, rq := range requests() {
		for _, role := range []account.Role{account.Owner, account.Admin, account.Support, account.User, ""} {
			before := len(w.doings())
			cookie := "cookie-" + string(role)
			a := b.do(cookie, rq.method, rq.path, rq.form)
			ok := role != "" && strings.Contains(rq.allowed, string(role[0]))
			name := fmt.Sprintf("%s %s as %q", rq.method, rq.path, role)
			switch {
			case ok && a.status != 200 && a.status != 303:
				t.Errorf("%s: %d", name, a.status)
			case !ok && role != "" && a.status != 403 && a.status != 404:
				t.Errorf("%s: %d, want a refusal", name, a.status)
			case role == "" && a.status != 401 && a.header.Get("Location") != "/sign-in":
				t.Errorf("%s: %d, want sign-in", name, a.status)
			case !ok && len(w.doings()) != before:
				t.Errorf("%s: refused, but did %v", name, w.doings()[before:])
			}
		}
	}
}

func TestForeignAndAbsentAreOnePage(t *testing.T) {
	b := open(t, newWorld(), io.Discard, nil)
	strip := func(a answer) string {
		body, _, _ := strings.Cut(a.body, "For support")
		return fmt.Sprint(a.status, body)
	}
	want := strip(b.do("cookie-user", "GET", "/users/usr_none", nil))
	for _, path := range []string{"/users/usr_1", "/users/x%00y", "/users/..%2f", "/nothing"} {
		if got := strip(b.do("cookie-user", "GET", path, nil)); got != want {
			t.Errorf("%s differs:\n%s", path, got)
		}
	}
}

func TestCrossSiteFormsAreRefused(t *testing.T) {
	w := newWorld()
	b := open(t, w, io.Discard, nil)
	a := b.do("cookie-owner", "POST", "/sync", url.Values{}, "Sec-Fetch-Site", "cross-site")
	if a.status != 403 || len(w.doings()) != 0 {
		t.Errorf("%d %v", a.status, w.doings())
	}
	// Signing a victim's browser in as somebody else is the same attack.
	a = b.do("", "POST", "/sign-in", url.Values{"token": {"link-owner"}}, "Origin", "https://evil.example")
	if a.status != 403 || len(a.header["Set-Cookie"]) != 0 {
		t.Errorf("sign-in: %d %v", a.status, a.header)
	}
}

func TestMassLossAsksFirst(t *testing.T) {
	w := newWorld()
	b := open(t, w, io.Discard, nil)
	w.fail = provisioning.ErrMassLoss
	a := b.do("cookie-owner", "POST", "/sync", url.Values{})
	if a.status != 409 || !strings.Contains(a.body, `action="/sync?allowLoss=true"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = b.do("cookie-owner", "POST", "/sync?allowLoss=true", url.Values{}); a.status != 303 {
		t.Errorf("insisting: %d %s", a.status, a.body)
	}
}

func TestUserPageSaysWhyAndWhatNext(t *testing.T) {
	b := open(t, newWorld(), io.Discard, nil)
	a := b.do("cookie-admin", "GET", "/users/usr_1", nil)
	for _, want := range []string{
		"what to do next", "does not match the PBX", "Sync now", "Linphone/5.1", "192.0.2.7:51022 over TLS",
		"Credential synced", "Issue code", "Make link", "Revoke",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	a = b.do("cookie-admin", "POST", "/users/usr_1/code", url.Values{"kind": {"mobile"}})
	for _, want := range []string{"ABCD-EFGH-JKMN", `src="data:image/png;base64,`, "demarc://", "one mobile device"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the code's page lacks %q", want)
		}
	}
	a = b.do("cookie-admin", "POST", "/users/usr_1/document", url.Values{})
	if !strings.Contains(a.body, "/provision/abcdefgh") {
		t.Error("no link")
	}
}

func TestCallbackPages(t *testing.T) {
	cases := []struct {
		err    error
		status int
		title  string
		do     string
	}{
		{connector.ErrConsentDenied, 400, "You cancelled the link", "Choose Connect again"},
		{connector.ErrStateUnknown, 400, "This link was not started here", "same browser"},
		{connector.ErrStateExpired, 400, "That took too long", "within ten minutes"},
		{connector.ErrWrongIssuer, 400, "The answer came from another service", "security team"},
		{connector.ErrCodeRefused, 400, "The service refused the code", "fresh code"},
		{connector.ErrUnreachable, 502, "The service cannot be reached", "network"},
		{connector.ErrWrongAccount, 403, "This is another account of the service", "disconnect first"},
		{connector.ErrWrongPermission, 403, "This person may not link the phone system", "Phone System Integration"},
		{connector.ErrNotFound, 404, "Not found", "list"},
		{store.ErrUnavailable, 503, "Not available", "Wait"},
		{fmt.Errorf("reading: %w", context.Canceled), 499, "ended the request", "again"},
		{errors.New("canary-inner"), 500, "Something went wrong", "support"},
	}
	for _, tc := range cases {
		w := newWorld()
		var log strings.Builder
		b := open(t, w, &log, nil)
		w.complete = fmt.Errorf("%w: with detail", tc.err)
		a := b.do("cookie-admin", "GET", "/connect/callback?code=canary-code&state=canary-state&iss=https://c", nil,
			"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
		if a.status != tc.status || !strings.Contains(a.body, tc.title) || !strings.Contains(a.body, tc.do) {
			t.Errorf("%v: %d %s", tc.err, a.status, a.body)
		}
		if strings.Contains(a.body, "canary") {
			t.Errorf("%v: the page tells an inner error or the code", tc.err)
		}
		if strings.Contains(log.String(), "canary-code") || strings.Contains(log.String(), "canary-state") {
			t.Errorf("%v: logged %s", tc.err, log.String())
		}
	}
	w := newWorld()
	b := open(t, w, io.Discard, nil)
	a := b.do("cookie-admin", "GET", "/connect/callback?code=c&state=s&iss=https://c", nil)
	if a.status != 303 || a.header.Get("Location") != "/connectors" {
		t.Errorf("success: %d %v", a.status, a.header)
	}
	if got := w.doings(); len(got) != 1 || got[0] != "complete ses_admin s https://c" {
		t.Errorf("did %v", got)
	}
	a = b.do("", "GET", "/connect/callback?code=c&state=s", nil)
	if a.status != 401 || !strings.Contains(a.body, "sign in") {
		t.Errorf("without a session: %d", a.status)
	}
}

func upload(t *testing.T, b *browser, cookie, name, content string) answer {
	t.Helper()
	var body strings.Builder
	m := multipart.NewWriter(&body)
	part, err := m.CreateFormFile("file", name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(part, content)
	_ = m.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", b.base+"/import", strings.NewReader(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	return b.send(cookie, r)
}

func TestImportChecksFirstAndAppliesWhatWasChecked(t *testing.T) {
	w := newWorld()
	b := open(t, w, io.Discard, nil)
	bad := []provisioning.RowError{{Row: 3, Column: "email", Message: "bad"}}
	w.report = provisioning.ImportReport{Rows: 2, Errors: bad}
	a := upload(t, b, "cookie-admin", "p.csv", "email\nx")
	if a.status != 422 || !strings.Contains(a.body, "<td>3</td><td>email</td><td>bad</td>") ||
		strings.Contains(a.body, "/import/apply") {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.report = provisioning.ImportReport{Rows: 2, Add: 2}
	content := "\xef\xbb\xbfemail;name\nann@example.com;Ann \"A\"\n"
	a = upload(t, b, "cookie-admin", "p.csv", content)
	encoded := base64.StdEncoding.EncodeToString([]byte(content))
	if a.status != 200 || !strings.Contains(a.body, "Ready to import") || !strings.Contains(a.body, encoded) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a = b.do("cookie-admin", "POST", "/import/apply", url.Values{"name": {"p.csv"}, "content": {encoded}})
	if a.status != 200 || !strings.Contains(a.body, "Imported") {
		t.Errorf("%d %s", a.status, a.body)
	}
	did := w.doings()
	if last := did[len(did)-1]; last != fmt.Sprintf("import p.csv %q dry=false", content) {
		t.Errorf("applied %s", last)
	}
	if a = upload(t, b, "cookie-admin", "p.csv", strings.Repeat("x", 3<<20)); a.status != 413 {
		t.Errorf("3 MB: %d", a.status)
	}
	if a = upload(t, b, "cookie-admin", "p.csv", strings.Repeat("x", 6<<20)); a.status != 413 {
		t.Errorf("6 MB: %d", a.status)
	}
}

// events reads server-sent events until stop says so.
func events(t *testing.T, b *browser, ctx context.Context, path string, stop func(event, text string) bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", b.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: portal.SessionCookie, Value: "cookie-support"})
	res, err := b.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	event, text := "", ""
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			event = line[7:]
		case strings.HasPrefix(line, "data: "):
			text += line[6:] + "\n"
		case line == "":
			if stop(event, text) {
				return
			}
			text = ""
		}
	}
	stop("closed", "")
}

func TestPagesRefreshThemselves(t *testing.T) {
	w := newWorld()
	b := open(t, w, io.Discard, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := 0
	events(t, b, ctx, "/live?q=ann", func(event, text string) bool {
		seen++
		switch {
		case event != "fresh":
			t.Errorf("event %q", event)
			return true
		case seen == 1:
			if !strings.Contains(text, "Ann Berg") || strings.Contains(text, "Carla") || strings.Contains(text, "<html") {
				t.Errorf("first: %s", text)
			}
			w.mu.Lock()
			w.users[0].State, w.users[0].SIPCode, w.users[0].Text = provisioning.SIPError, 403, "No licence."
			w.mu.Unlock()
			return false
		}
		if !strings.Contains(text, "No licence.") {
			t.Errorf("second: %s", text)
		}
		return true
	})
	if seen != 2 {
		t.Errorf("%d events; what has not changed is not sent", seen)
	}
	events(t, b, ctx, "/users/usr_1/live", func(_, text string) bool {
		if !strings.Contains(text, "what to do next") {
			t.Errorf("user: %s", text)
		}
		return true
	})
}

// TestStreamsOutliveWriteTimeouts uses HTTP/2, where a deadline that passes ends a stream even when nothing is written.
func TestStreamsOutliveWriteTimeouts(t *testing.T) {
	w := newWorld()
	srv := httptest.NewUnstartedServer(portal.New(portal.Config{
		Access: w, Provisioning: w, Connectors: w, Sync: w, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return w.now }, Refresh: 10 * time.Millisecond,
	}))
	srv.EnableHTTP2, srv.Config.WriteTimeout = true, 200*time.Millisecond
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var later *time.Timer
	last := ""
	events(t, &browser{t: t, base: srv.URL, http: srv.Client()}, ctx, "/live", func(event, text string) bool {
		if last = event; later != nil {
			return true
		}
		later = time.AfterFunc(3*srv.Config.WriteTimeout, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.users[0].Text = "changed later"
		})
		return false
	})
	if last != "fresh" {
		t.Errorf("the stream ended with %q", last)
	}
}

func TestStreamsEndWithTheProcess(t *testing.T) {
	done := make(chan struct{})
	b := open(t, newWorld(), io.Discard, done)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := false
	events(t, b, ctx, "/live", func(event, _ string) bool {
		if event == "fresh" {
			close(done)
			return false
		}
		ended = event == "closed"
		return true
	})
	if !ended || ctx.Err() != nil {
		t.Errorf("ended %v, %v", ended, ctx.Err())
	}
}
