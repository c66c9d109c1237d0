package softphone_test

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/softphone"
)

func md5HA1(user, realm, password string) string {
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password))
	return hex.EncodeToString(sum[:])
}

func sha256HA1(user, realm, password string) string {
	sum := sha256.Sum256([]byte(user + ":" + realm + ":" + password))
	return hex.EncodeToString(sum[:])
}

const (
	testCode  = "ABCD-EFGH-JKMN"
	testToken = "canary-device-token"
)

// server is a small client API.
type server struct {
	*httptest.Server
	ca *authority

	mu         sync.Mutex
	credential map[string]any // nil: pending
	etag       int
	fetches    int // answered with a body
	unchanged  int // answered with 304
	broken     int // status to answer everything with
	reports    []map[string]any
	codeUsed   bool
	revoked    bool
}

func newServer(t *testing.T, ca *authority) *server {
	t.Helper()
	s := &server{ca: ca}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/enrolments", s.enrol)
	mux.HandleFunc("GET /v1/devices/dev_1/credential", s.device(s.handOut))
	mux.HandleFunc("POST /v1/devices/dev_1/registration", s.device(s.report))
	mux.HandleFunc("DELETE /v1/devices/dev_1", s.device(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	s.Server = httptest.NewUnstartedServer(mux)
	s.TLS = ca.server(t, "localhost", time.Now().Add(time.Hour))
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
	s.etag++
}

func (s *server) address() string {
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

func (s *server) link() string {
	return strings.Replace(s.address(), "https", "demarc", 1) + "/enrol?code=" + testCode +
		"&ca=" + base64.RawURLEncoding.EncodeToString(s.ca.cert.Raw)
}

func (s *server) device(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.broken != 0:
			problem(w, s.broken, "broken", "out of order")
		case s.revoked || r.Header.Get("Authorization") != "Bearer "+testToken:
			problem(w, http.StatusUnauthorized, "unauthorized", "no such token")
		default:
			next(w, r)
		}
	}
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"status":%d,"code":%q,"detail":%q}`, status, code, detail)
}

func (s *server) enrol(w http.ResponseWriter, r *http.Request) {
	var in struct{ Code, Name string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		problem(w, http.StatusBadRequest, "invalid", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Code != testCode || s.codeUsed {
		problem(w, http.StatusNotFound, "not_found", "The code is wrong, expired or already used: ask for a new one.")
		return
	}
	s.codeUsed = true
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{
		"deviceId": "dev_1", "token": testToken, "kind": "desktop", "ca": string(s.ca.pem()),
		"instance": "urn:uuid:9c11fcd5-d8cc-4f71-b0d3-cd88b6b31cbb",
		"user":     map[string]string{"name": "Ada Lovelace", "extension": "1001"},
	})
}

func (s *server) handOut(w http.ResponseWriter, r *http.Request) {
	if s.credential == nil {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusConflict, "credential_pending", "CloudLink has not authorised this user yet.")
		return
	}
	etag := fmt.Sprintf(`"%d"`, s.etag)
	if r.Header.Get("If-None-Match") == etag {
		s.unchanged++
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.fetches++
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s.credential)
}

func (s *server) report(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		problem(w, http.StatusBadRequest, "invalid", err.Error())
		return
	}
	s.reports = append(s.reports, in)
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) reported(want func(map[string]any) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.reports, want)
}

// place is one registrar address for a credential.
func place(role, host string, port int, transport string) map[string]any {
	return map[string]any{"role": role, "host": host, "port": port, "transport": transport}
}

func credentialFor(ca *authority, places ...map[string]any) map[string]any {
	return map[string]any{
		"displayName": "Ada Lovelace", "extension": "1001", "username": "1001", "authUsername": "1001", "kind": "desktop",
		"realm": "pbx.test", "domain": "pbx.test", "instance": "urn:uuid:9c11fcd5-d8cc-4f71-b0d3-cd88b6b31cbb",
		"digests": []map[string]string{
			{"algorithm": "MD5", "ha1": md5HA1("1001", "pbx.test", "right")},
			{"algorithm": "SHA-256", "ha1": sha256HA1("1001", "pbx.test", "right")},
		},
		"registrars": places, "registerExpires": 300, "keepalive": 30, "ca": string(ca.pem()), "callerId": "+4989123456",
	}
}

// watcher collects what a phone says of itself.
type watcher struct {
	mu  sync.Mutex
	all []softphone.Status
}

func (w *watcher) take(s softphone.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, s)
}

func (w *watcher) statuses() []softphone.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// running is a phone that runs until the test stops it.
type running struct {
	*watcher
	t     *testing.T
	phone *softphone.Phone
	stop  func() error // ends it and returns what Run returned
}

func profileFor(s *server) *softphone.Profile {
	return &softphone.Profile{
		Server: s.address(), CA: s.ca.pem(), DeviceID: "dev_1", Token: testToken, Kind: softphone.Desktop,
		Instance: "urn:uuid:9c11fcd5-d8cc-4f71-b0d3-cd88b6b31cbb", User: "Ada Lovelace", Extension: "1001",
	}
}

func run(t *testing.T, s *server, change ...func(*softphone.Config)) *running {
	t.Helper()
	w := &watcher{}
	cfg := softphone.Config{
		Profile: profileFor(s), OnStatus: w.take,
		Retry: softphone.Retry{
			Quick: 5 * time.Millisecond, Base: 20 * time.Millisecond, Max: 100 * time.Millisecond,
			Pending: 20 * time.Millisecond, Answer: 5 * time.Second,
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	phone, err := softphone.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ended error
	var wait sync.WaitGroup
	wait.Go(func() { ended = phone.Run(ctx) })
	r := &running{watcher: w, t: t, phone: phone, stop: func() error { cancel(); wait.Wait(); return ended }}
	t.Cleanup(func() {
		_ = r.stop()
		r.checkTransitions()
	})
	return r
}

// until waits for a status and returns it.
func (r *running) until(what string, is func(softphone.Status) bool) softphone.Status {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		for _, s := range r.statuses() {
			if is(s) {
				return s
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	r.t.Fatalf("the phone never became %s; it was %+v", what, r.statuses())
	return softphone.Status{}
}

func (r *running) untilState(state softphone.State) softphone.Status {
	r.t.Helper()
	return r.until(string(state), func(s softphone.Status) bool { return s.State == state })
}

// checkTransitions holds every step of every test against the state table.
func (r *running) checkTransitions() {
	all := r.statuses()
	for i := 1; i < len(all); i++ {
		if !slices.Contains(all[i-1].State.Follows(), all[i].State) {
			r.t.Errorf("%s came after %s", all[i].State, all[i-1].State)
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
