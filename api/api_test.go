package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/api"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/provisioning"
	"demarc/store"
)

// syncBuffer is a log that handlers of several requests write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func config(w *world, log io.Writer) api.Config {
	now := func() time.Time { return w.now }
	return api.Config{
		Access: identity{w}, Provisioning: w, Connectors: w, Sync: w, Calls: w, Reach: w,
		Guesses:   access.NewGuesses(access.DefaultGuesses(now)),
		ServerURL: "https://demarc.example:8443", CAPEM: []byte("PEM"), Version: "test",
		Log: slog.New(slog.NewJSONHandler(log, nil)), Now: now,
	}
}

type client struct {
	t    *testing.T
	base string
	http *http.Client
}

func public(t *testing.T, w *world) (*client, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	srv := httptest.NewTLSServer(api.New(config(w, log)))
	t.Cleanup(srv.Close)
	return &client{t: t, base: srv.URL, http: srv.Client()}, log
}

func operator(t *testing.T, w *world) *client {
	t.Helper()
	srv := httptest.NewTLSServer(api.NewOperator(config(w, io.Discard)))
	t.Cleanup(srv.Close)
	return &client{t: t, base: srv.URL, http: srv.Client()}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(r.body), &p)
	return p.Code
}

// do sends one request; as is "", "Bearer …", "cookie …" or an account for the operator.
func (c *client) do(as, method, path, body string, headers ...string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	switch kind, value, _ := strings.Cut(as, " "); kind {
	case "Bearer":
		req.Header.Set("Authorization", as)
	case "cookie":
		req.AddCookie(&http.Cookie{Name: api.SessionCookie, Value: value})
	case "account":
		req.Header.Set(api.AccountHeader, value)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(raw)}
}

func (c *client) want(r reply, status int, code string) {
	c.t.Helper()
	if r.status != status || (code != "" && r.code() != code) {
		c.t.Errorf("got %d %s, want %d %s", r.status, r.body, status, code)
	}
}

func TestClientFlow(t *testing.T) {
	w := newWorld()
	c, log := public(t, w)
	r := c.do("", "POST", "/v1/enrolments", `{"code":"ABCD-EFGH-JKMN","name":"Ann's laptop"}`)
	c.want(r, 201, "")
	var e struct {
		DeviceID, Token, Instance, Kind, CA string
		User                                struct{ Name, Extension string }
	}
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatal(err)
	}
	if e.DeviceID != "dev_ann_one" || e.Token == "" || e.Instance != "urn:uuid:1" || e.Kind != "desktop" ||
		e.User.Name != "ann" || e.User.Extension != "200" || e.CA != "PEM" {
		t.Errorf("enrolment %s", r.body)
	}
	as, path := "Bearer "+e.Token, "/v1/devices/"+e.DeviceID
	r = c.do(as, "GET", path+"/credential", "")
	c.want(r, 200, "")
	var cred map[string]any
	if err := json.Unmarshal([]byte(r.body), &cred); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"displayName", "extension", "callerId", "voicemailNumber", "kind", "username", "authUsername", "realm", "domain",
		"instance", "digests", "registrars", "srtp", "registerExpires", "keepalive", "ca",
	} {
		if _, ok := cred[key]; !ok {
			t.Errorf("the credential lacks %s", key)
		}
	}
	if !strings.Contains(r.body, canaryHA1) || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", r.body, r.header)
	}
	etag := r.header.Get("ETag")
	for _, header := range []string{etag, "W/" + etag, `"old", ` + etag, "*"} {
		r = c.do(as, "GET", path+"/credential", "", "If-None-Match", header)
		c.want(r, 304, "")
		if r.body != "" || r.header.Get("ETag") != etag || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("304 with %q %v", r.body, r.header)
		}
	}
	c.want(c.do(as, "GET", path+"/credential", "", "If-None-Match", `"old"`), 200, "")
	report := `{"outcome":"failed","ageMs":1500,"code":401,"text":"wrong","cause":"sip","registrar":"sbc.example:5061"}`
	c.want(c.do(as, "POST", path+"/registration", report), 204, "")
	if len(w.reports) != 1 || w.reports[0].Code != 401 || w.reports[0].Cause != "sip" ||
		w.reports[0].Outcome != provisioning.ReportFailed || w.reports[0].Age != 1500*time.Millisecond {
		t.Errorf("reports %+v", w.reports)
	}
	c.want(c.do(as, "POST", path+"/registration", `{"outcome":"registered","expires":600}`), 204, "")
	if last := w.reports[1]; last.Outcome != provisioning.ReportRegistered || last.Expires != 10*time.Minute {
		t.Errorf("report %+v", last)
	}
	c.want(c.do(as, "POST", path+"/registration", `{"outcome":"odd"}`), 422, "invalid")
	c.want(c.do(as, "POST", path+"/registration", `{"outcome":"registered","expires":-1}`), 422, "invalid")
	c.want(c.do(as, "GET", path, ""), 200, "")
	c.want(c.do(as, "DELETE", path, ""), 204, "")
	w.pending = true
	r = c.do(as, "GET", path+"/credential", "")
	c.want(r, 409, "credential_pending")
	if r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "PBX admin since Monday") ||
		r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("pending: %v %s", r.header, r.body)
	}
	for _, secret := range []string{canaryHA1, e.Token, "ABCD-EFGH"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q was logged", secret)
		}
	}
}

// object is something an actor of account one may ask for.
type object struct {
	name, method, path, body string
	verb                     access.Verb
	own                      bool // belongs to the user and device "ann" of account one
	exists                   bool // in account one
}

func objects() []object {
	var all []object
	for _, dev := range []string{"dev_ann_one", "dev_bob_one", "dev_ann_two", "dev_none", "x%00y", "..%2fusers"} {
		path, own, one := "/v1/devices/"+dev, dev == "dev_ann_one", strings.HasSuffix(dev, "_one")
		all = append(all,
			object{dev, "GET", path, "", access.ReadOwnDevice, own, one},
			object{dev, "GET", path + "/credential", "", access.FetchCredential, own, one},
			object{dev, "POST", path + "/registration", `{"outcome":"registered"}`, access.Report, own, one},
			object{dev, "DELETE", path, "", access.Unenrol, own, one})
	}
	for _, user := range []string{"usr_ann_one", "usr_bob_one", "usr_ann_two", "usr_none", "x%00y"} {
		path, own, one := "/v1/users/"+user, user == "usr_ann_one", strings.HasSuffix(user, "_one")
		device := strings.Replace(user, "usr", "dev", 1)
		all = append(all,
			object{user, "GET", path, "", access.ReadUsers, own, one},
			object{user, "DELETE", path, "", access.ChangeUsers, own, one},
			object{user, "POST", path + "/enrolment-codes", `{"kind":"mobile"}`, access.IssueCode, own, one},
			object{user, "POST", path + "/document-links", `{"app":"linphone"}`, access.IssueCode, own, one},
			object{user, "DELETE", path + "/devices/" + device, "", access.RevokeDevice, own, one},
			object{user, "DELETE", path + "/devices/dev_ann_two", "", access.RevokeDevice, false, false})
	}
	for _, con := range []string{"con_one", "con_two", "con_none"} {
		path, one := "/v1/connectors/"+con, con == "con_one"
		all = append(all,
			object{con, "GET", path, "", access.ReadLink, false, one},
			object{con, "POST", path + "/connect", "", access.ConnectLink, false, one},
			object{con, "POST", path + "/disconnect", "", access.ChangeLink, false, one})
	}
	for _, call := range []string{"call_one", "call_two", "call_none", "x%00y"} {
		path, one := "/v1/calls/"+call, call == "call_one"
		all = append(all,
			object{call, "GET", path, "", access.ReadCalls, false, one},
			object{call, "DELETE", path, "", access.HangUp, false, one},
			object{call, "POST", path + "/transfer", `{"leg":1,"to":"201"}`, access.TransferCall, false, one},
			object{call, "POST", path + "/conference", `{"leg":1,"with":"call_x"}`, access.TransferCall, false, one})
	}
	for verb, request := range map[access.Verb][3]string{
		access.ReadMembers:   {"GET", "/v1/members", ""},
		access.AddMember:     {"POST", "/v1/members", `{"email":"n@x","role":"support"}`},
		access.ReadSyncRuns:  {"GET", "/v1/sync-runs", ""},
		access.RunSync:       {"POST", "/v1/sync", ""},
		access.ChangeLink:    {"POST", "/v1/app", ""},
		access.ReadLink:      {"GET", "/v1/connectors", ""},
		access.ChangeUsers:   {"POST", "/v1/users", `{"email":"n@x","name":"N"}`},
		access.ReadUsers:     {"GET", "/v1/users", ""},
		access.ReadAccounts:  {"GET", "/v1/accounts", ""},
		access.CreateAccount: {"POST", "/v1/accounts", `{"name":"N","domain":"n","owner":"o@n"}`},
		access.ReadCalls:     {"GET", "/v1/calls", ""},
		access.IssueSignIn:   {"POST", "/v1/sign-in-links", `{"email":"o@n","account":"acc_one"}`},
	} {
		all = append(all, object{"account", request[0], request[1], request[2], verb, true, true})
	}
	return all
}

// TestMatrix asks every actor × object × verb and compares with the policy: a denied verb is the same 401 or 403
// whatever the object, and what is foreign or absent is the same 404; that of a call says how calls are found.
func TestMatrix(t *testing.T) {
	w := newWorld()
	c, _ := public(t, w)
	op := operator(t, w)
	actors := map[string]access.Actor{
		"": access.Anonymous, "Bearer nobody": access.Anonymous, "cookie nobody": access.Anonymous,
		"Bearer token-dev_ann_one": access.Device, "cookie cookie-user-one": access.User,
		"cookie cookie-support-one": access.Support, "cookie cookie-admin-one": access.Admin,
		"cookie cookie-owner-one": access.Owner, "account acc_one": access.Operator,
	}
	type refusal struct {
		status int
		call   bool
	}
	bodies := map[refusal]string{}
	for as, actor := range actors {
		for _, o := range objects() {
			via := c
			if actor == access.Operator {
				via = op
			}
			before := len(w.acts)
			r := via.do(as, o.method, o.path, o.body)
			name := fmt.Sprintf("%q %s %s", as, o.method, o.path)
			want := wanted(actor, o)
			if r.status/100 != want/100 || (want/100 != 2 && r.status != want) {
				t.Errorf("%s: %d %s, want %d", name, r.status, r.body, want)
				continue
			}
			if want/100 != 2 && len(w.acts) != before {
				t.Errorf("%s was refused but did %v", name, w.acts[before:])
			}
			if want != http.StatusNotFound && want != http.StatusUnauthorized {
				continue
			}
			kind := refusal{want, want == http.StatusNotFound && strings.HasPrefix(o.path, "/v1/calls/")}
			if bodies[kind] == "" {
				bodies[kind] = r.body
			}
			if r.body != bodies[kind] {
				t.Errorf("%s: the %d differs: %s, not %s", name, want, r.body, bodies[kind])
			}
		}
	}
}

func wanted(a access.Actor, o object) int {
	scope := access.Allowed(a, o.verb)
	switch {
	case scope == access.Nothing && a == access.Anonymous:
		return http.StatusUnauthorized
	case scope == access.Nothing:
		return http.StatusForbidden
	case !o.exists, scope == access.Own && !o.own:
		return http.StatusNotFound
	}
	return http.StatusOK
}

func TestAUserSeesOnlyThemselves(t *testing.T) {
	c, _ := public(t, newWorld())
	r := c.do("cookie cookie-user-one", "GET", "/v1/users?q=bob&limit=1", "")
	c.want(r, 200, "")
	if strings.Contains(r.body, "bob") || !strings.Contains(r.body, `"counts":{"registered":1}`) {
		t.Errorf("%s", r.body)
	}
}

func TestACookieBesideATokenLendsNothing(t *testing.T) {
	c, _ := public(t, newWorld())
	cookie := []string{"Cookie", api.SessionCookie + "=cookie-owner-one"}
	c.want(c.do("Bearer token-dev_ann_one", "GET", "/v1/users", "", cookie...), 403, "forbidden")
	c.want(c.do("Bearer nobody", "GET", "/v1/users", "", cookie...), 401, "unauthenticated")
}

func TestCrossSiteCallsAreRefused(t *testing.T) {
	w := newWorld()
	c, _ := public(t, w)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"},
	} {
		c.want(c.do("cookie cookie-owner-one", "POST", "/v1/sync", "", headers...), 403, "cross_origin")
	}
	if len(w.acts) != 0 {
		t.Errorf("they did %v", w.acts)
	}
	c.want(c.do("cookie cookie-owner-one", "POST", "/v1/sync", "", "Sec-Fetch-Site", "same-origin"), 200, "")
}

func TestGuessingCodesIsBounded(t *testing.T) {
	w := newWorld()
	c, log := public(t, w)
	for range 30 { // right ones cost nothing
		c.want(c.do("", "POST", "/v1/enrolments", `{"code":"ABCD-EFGH-JKMN","name":"n"}`), 201, "")
	}
	for range 10 {
		c.want(c.do("", "POST", "/v1/enrolments", `{"code":"WRNG-WRNG-WRNG","name":"n"}`), 410, "code_spent")
	}
	r := c.do("", "POST", "/v1/enrolments", `{"code":"ABCD-EFGH-JKMN","name":"n"}`)
	c.want(r, 429, "too_many_tries")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if strings.Contains(log.String(), "WRNG") {
		t.Error("a code was logged")
	}
}

func TestErrorsAreTranslated(t *testing.T) {
	cases := []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("reading: %w: locked", store.ErrUnavailable), 503, "unavailable"},
		{fmt.Errorf("%w: extension 200 is taken", provisioning.ErrConflict), 409, "conflict"},
		{fmt.Errorf("%w: no name", provisioning.ErrInvalid), 422, "invalid"},
		{provisioning.ErrBusy, 409, "sync_running"},
		{provisioning.ErrMassLoss, 409, "mass_loss"},
		{connector.ErrNotInstalled, 409, "app_not_installed"},
		{connector.ErrUnreachable, 502, "service_unreachable"},
		{connector.ErrReauthorize, 409, "reauthorize"},
		{fmt.Errorf("reading: %w", context.Canceled), 499, "client_gone"},
		{fmt.Errorf("secret detail"), 500, "internal"},
	}
	for _, tc := range cases {
		w := newWorld()
		c, log := public(t, w)
		w.fail = tc.err
		op := operator(t, w)
		r := op.do("account acc_one", "POST", "/v1/sync", "")
		op.want(r, tc.status, tc.code)
		if strings.Contains(r.body, "secret detail") {
			t.Errorf("an inner error was told: %s", r.body)
		}
		if r.header.Get("X-Correlation-Id") == "" {
			t.Error("no correlation id")
		}
		if tc.status == 503 {
			if r.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			// A store that is away must never look like a wrong token or session.
			c.want(c.do("cookie cookie-owner-one", "GET", "/v1/users", ""), 503, "unavailable")
			c.want(c.do("Bearer token-dev_ann_one", "GET", "/v1/devices/dev_ann_one", ""), 503, "unavailable")
			c.want(c.do("", "POST", "/v1/enrolments", `{"code":"ABCD-EFGH-JKMN","name":"n"}`), 503, "unavailable")
		}
		if tc.status != 500 && strings.Contains(log.String(), "request failed") {
			t.Errorf("a foreseen error was logged twice: %s", log)
		}
	}
}

func TestRefusalsOfInput(t *testing.T) {
	c, _ := public(t, newWorld())
	owner := "cookie cookie-owner-one"
	big := `{"code":"` + strings.Repeat("A", 20<<10) + `","name":"n"}`
	cases := []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/v1/enrolments", `{"code":`, 400, "bad_request"},
		{"POST", "/v1/enrolments", `{"name":"n"}`, 422, "invalid"},
		{"POST", "/v1/enrolments", `{"code":"CANARY","name":"n","x":1}`, 422, "invalid"},
		{"POST", "/v1/enrolments", `{"code":"A\u0000B","name":"n"}`, 422, "invalid"},
		{"POST", "/v1/enrolments", big, 413, "too_large"},
		{"GET", "/v1/users?limit=0", "", 422, "invalid"},
		{"GET", "/v1/users?state=nonsense", "", 422, "invalid"},
		{"GET", "/v1/users?q=%00", "", 422, "invalid"},
		{"GET", "/v1/nothing", "", 404, "not_found"},
		{"PUT", "/v1/users", "", 405, "method_not_allowed"},
		{"HEAD", "/provision/canary-document", "", 405, ""},
		{"GET", "/provision/wrong", "", 410, "code_spent"},
	}
	for _, tc := range cases {
		r := c.do(owner, tc.method, tc.path, tc.body)
		if r.status != tc.status || (tc.code != "" && r.code() != tc.code) {
			t.Errorf("%s %s %.60s: %d %s, want %d %s", tc.method, tc.path, tc.body, r.status, r.body, tc.status, tc.code)
		}
		if r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %s", tc.method, tc.path, r.header.Get("Content-Type"))
		}
		if strings.Contains(r.body, "CANARY") {
			t.Errorf("the value was echoed: %s", r.body)
		}
	}
}

func TestDocumentIsHandedOutAndNotLogged(t *testing.T) {
	w := newWorld()
	c, log := public(t, w)
	r := c.do("", "GET", "/provision/canary-document", "")
	c.want(r, 200, "")
	if r.body != "<config/>" || r.header.Get("Content-Type") != "application/xml" ||
		r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", r.header, r.body)
	}
	if strings.Contains(log.String(), "canary-document") || !strings.Contains(log.String(), "/provision/***") {
		t.Error(log.String())
	}
	if r = c.do("", "GET", "/ca.pem", ""); r.status != 200 || r.body != "PEM" {
		t.Errorf("%+v", r)
	}
}

func TestImport(t *testing.T) {
	w := newWorld()
	w.importOf = provisioning.ImportReport{
		Rows: 2, Add: 1, Errors: []provisioning.RowError{{Row: 3, Column: "email", Message: "not an address"}},
	}
	c, _ := public(t, w)
	csv := "email,name\nann@example.com,Ann\nx,X\n"
	r := c.do("cookie cookie-admin-one", "POST", "/v1/users/import?dryRun=true", csv, "Content-Type", "text/csv")
	c.want(r, 200, "")
	if !strings.Contains(r.body, `"location":"row 3, email"`) || !strings.Contains(r.body, `"dryRun":true`) {
		t.Errorf("%s", r.body)
	}
	r = c.do("cookie cookie-admin-one", "POST", "/v1/users/import", csv, "Content-Type", "text/csv")
	c.want(r, 422, "import_refused")
	w.importOf.Errors = nil
	c.want(c.do("cookie cookie-admin-one", "POST", "/v1/users/import", csv, "Content-Type", "text/csv"), 200, "")
	large := strings.Repeat("a,b,c\n", 1<<20)
	r = c.do("cookie cookie-admin-one", "POST", "/v1/users/import", large, "Content-Type", "text/csv")
	c.want(r, 413, "too_large")
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the file was read")
	return 0, io.EOF
}

func TestFilesOfStrangersAreNotRead(t *testing.T) {
	w := newWorld()
	h := api.New(config(w, io.Discard))
	for cookie, want := range map[string]int{"": 401, "guess": 401, "cookie-support-one": 403, "cookie-user-one": 403} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/users/import", unread{t})
		r.Header.Set("Content-Type", "text/csv")
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: api.SessionCookie, Value: cookie})
		}
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		if got.Code != want || got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q got %d %v, want %d", cookie, got.Code, got.Header(), want)
		}
	}
}

func TestCodesComeWithAPicture(t *testing.T) {
	c, _ := public(t, newWorld())
	r := c.do("cookie cookie-admin-one", "POST", "/v1/users/usr_ann_one/enrolment-codes", `{}`)
	c.want(r, 201, "")
	if !strings.Contains(r.body, `"qr":"data:image/png;base64,`) || !strings.Contains(r.body, `"kind":"desktop"`) {
		t.Errorf("%.300s", r.body)
	}
}

func TestLossIsAllowedOnlyWhenAsked(t *testing.T) {
	w := newWorld()
	op := operator(t, w)
	op.want(op.do("account acc_one", "POST", "/v1/sync", ""), 200, "")
	op.want(op.do("account acc_one", "POST", "/v1/sync?allowLoss=true", ""), 200, "")
	if want := []string{"sync acc_one 0", "sync acc_one 1"}; !slices.Equal(w.acts, want) {
		t.Errorf("did %v, want %v", w.acts, want)
	}
}

func TestOperatorNamesTheAccount(t *testing.T) {
	w := newWorld()
	op := operator(t, w)
	op.want(op.do("account one.example", "GET", "/v1/users", ""), 200, "")
	op.want(op.do("", "GET", "/v1/users", ""), 422, "invalid")
	op.want(op.do("account nobody.example", "GET", "/v1/users", ""), 404, "not_found")
	op.want(op.do("account acc_one", "POST", "/v1/connectors/con_one/connect", ""), 403, "forbidden")
	r := op.do("", "POST", "/v1/sign-in-links", `{"email":"o@x","account":"one.example"}`)
	op.want(r, 201, "")
	if !strings.Contains(r.body, "https://demarc.example:8443/sign-in?token=canary-sign-in") {
		t.Errorf("%s", r.body)
	}
}

func TestDescription(t *testing.T) {
	c, _ := public(t, newWorld())
	r := c.do("", "GET", "/v1/openapi.json", "")
	c.want(r, 200, "")
	raw, err := api.Describe("test")
	if err != nil {
		t.Fatal(err)
	}
	var served, described any
	if json.Unmarshal([]byte(r.body), &served) != nil || json.Unmarshal(raw, &described) != nil {
		t.Fatal("not JSON")
	}
	if fmt.Sprint(served) != fmt.Sprint(described) {
		t.Error("Describe differs from what is served")
	}
	for _, want := range []string{
		`"openapi":"3.1.0"`, "/v1/devices/{deviceId}/credential", `"Problem"`, `"scheme":"bearer"`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the description lacks %s", want)
		}
	}
	if strings.Contains(string(raw), "ErrorModel") {
		t.Error("the description names an error model that is not ours")
	}
}
