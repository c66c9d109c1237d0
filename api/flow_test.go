package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/api"
	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/provisioning"
	storeaccess "demarc/store/access"
	storeconnector "demarc/store/connector"
	storeprovisioning "demarc/store/provisioning"
	"demarc/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// pbx is a phone system with one HA1 for everybody; version changes it.
type pbx struct {
	mu      sync.Mutex
	emails  []string
	version int
}

func (p *pbx) Name() string { return "pbx" }

func (p *pbx) PBXs(context.Context) ([]cloudlink.PBX, error) {
	return []cloudlink.PBX{{
		PBXID: "pbx", Type: "generic", Realm: "one.example", Domain: "one.example", SRTP: "required",
		RegistrationExpires: 600, KeepaliveSeconds: 30,
		Registrars: []cloudlink.Registrar{{Role: cloudlink.RoleSBC, Host: "sbc.one.example", Port: 5061, Transport: "tls"}},
	}}, nil
}

func (p *pbx) Users(context.Context, string) ([]cloudlink.UserWithEndpoints, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var users []cloudlink.UserWithEndpoints
	for i, email := range p.emails {
		u := cloudlink.UserWithEndpoints{User: cloudlink.User{
			UserID: fmt.Sprint("cl-", i), Email: email, Name: email, Extension: fmt.Sprint(200 + i),
		}}
		for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
			u.SIPEndpoints = append(u.SIPEndpoints, cloudlink.SIPEndpoint{
				EndpointID: fmt.Sprint("ep-", i, kind), UserID: u.UserID, DeviceKind: kind, SIPUsername: u.Extension,
				Realm: "one.example", Domain: "one.example", PBXID: "pbx", Status: "active", Licence: cloudlink.LicenceOK,
				ETag: fmt.Sprint(p.version),
			})
		}
		users = append(users, u)
	}
	return users, "", nil
}

func (p *pbx) Credential(_ context.Context, userID, _ string) (cloudlink.Credential, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cloudlink.Credential{
		Username: "2" + strings.Repeat("0", 2), Realm: "one.example", ETag: fmt.Sprint(p.version),
		Digests: []cloudlink.Digest{{Algorithm: "MD5", HA1: fmt.Sprintf("%032x", 0xabc0+p.version)}},
	}, nil
}

// syncer syncs every account with the one PBX.
type syncer struct {
	p *provisioning.Service
	s *pbx
}

func (s syncer) SyncNow(ctx context.Context, id account.ID, _ ...provisioning.SyncOption) (provisioning.SyncRun, error) {
	return s.p.Sync(ctx, id, []provisioning.Source{s.s})
}

// real is the whole API on real services over SQLite.
type real struct {
	op, public *client
	pbx        *pbx
	log        *syncBuffer
}

func newReal(t *testing.T) *real {
	t.Helper()
	db, sealer := storetest.SQLite(t), sealtest.New(t)
	r := &real{pbx: &pbx{version: 1}, log: &syncBuffer{}}
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	accounts := storeaccess.New(db)
	p := provisioning.New(provisioning.Config{
		Store: storeprovisioning.New(db, sealer), Now: time.Now, Log: log, ServerURL: "https://demarc.example",
		CAPEM: []byte("PEM"), CADER: []byte("DER"),
	})
	c := api.Config{
		Access:       access.New(access.Config{Accounts: accounts, Members: accounts, Sessions: accounts, Now: time.Now}),
		Provisioning: p, Connectors: connector.New(connector.Config{Store: storeconnector.New(db, sealer), Log: log}),
		Sync: syncer{p, r.pbx}, Guesses: access.NewGuesses(access.DefaultGuesses(time.Now)),
		ServerURL: "https://demarc.example", CAPEM: []byte("PEM"), Version: "test", Log: log, Now: time.Now,
	}
	op, public := httptest.NewTLSServer(api.NewOperator(c)), httptest.NewTLSServer(api.New(c))
	t.Cleanup(op.Close)
	t.Cleanup(public.Close)
	r.op = &client{t: t, base: op.URL, http: op.Client()}
	r.public = &client{t: t, base: public.URL, http: public.Client()}
	return r
}

// as asks and decodes the answer, which must have the status.
func as[T any](c *client, who, method, path, body string, status int, headers ...string) T {
	c.t.Helper()
	var out T
	r := c.do(who, method, path, body, headers...)
	if r.status != status {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, r.status, r.body, status)
	}
	if r.body != "" {
		if err := json.Unmarshal([]byte(r.body), &out); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, r.body)
		}
	}
	return out
}

type user struct {
	ID, State, Text string
	SIPCode         int
	Devices         []struct{ ID, Name, State string }
	Timeline        []struct{ Kind, Text string }
}

type device struct{ DeviceID, Token, Instance string }

// TestRealFlow walks the client's path: code, enrolment, credential, 304, report, and what others may see of it.
func TestRealFlow(t *testing.T) {
	r := newReal(t)
	for _, domain := range []string{"one.example", "two.example"} {
		as[struct{}](r.op, "", "POST", "/v1/accounts",
			`{"name":"`+domain+`","domain":"`+domain+`","owner":"owner@`+domain+`"}`, 201)
	}
	one, two := "account one.example", "account two.example"
	r.pbx.emails = []string{"ann@example.com", "bob@example.com"}
	csv := "\xef\xbb\xbfemail;name\nann@example.com;Ann\nbob@example.com;Bob\n"
	as[struct{}](r.op, one, "POST", "/v1/users/import?dryRun=true", csv, 200, "Content-Type", "text/csv")
	if got := as[struct{ Users []user }](r.op, one, "GET", "/v1/users", "", 200); len(got.Users) != 0 {
		t.Fatalf("a dry run added %+v", got)
	}
	as[struct{}](r.op, one, "POST", "/v1/users/import", csv, 200, "Content-Type", "text/csv")
	as[struct{}](r.op, two, "POST", "/v1/users", `{"email":"ann@example.com","name":"Other Ann"}`, 201)
	ann := as[struct{ Users []user }](r.op, one, "GET", "/v1/users?q=ann", "", 200).Users[0]
	bob := as[struct{ Users []user }](r.op, one, "GET", "/v1/users?q=bob", "", 200).Users[0]
	other := as[struct{ Users []user }](r.op, two, "GET", "/v1/users", "", 200).Users[0]

	enrol := func(account, userID string) device {
		code := as[struct{ Code, Link, QR string }](r.op, account, "POST", "/v1/users/"+userID+"/enrolment-codes", `{}`, 201)
		link, err := url.Parse(code.Link)
		if err != nil || link.Scheme != "demarc" || link.Query().Get("code") != code.Code {
			t.Fatalf("link %q: %v", code.Link, err)
		}
		body := `{"code":"` + code.Code + `","name":"Laptop"}`
		d := as[device](r.public, "", "POST", "/v1/enrolments", body, 201)
		again := r.public.do("", "POST", "/v1/enrolments", body)
		r.public.want(again, 410, "code_spent")
		return d
	}
	laptop, bobs, foreign := enrol(one, ann.ID), enrol(one, bob.ID), enrol(two, other.ID)
	token, path := "Bearer "+laptop.Token, "/v1/devices/"+laptop.DeviceID

	pending := r.public.do(token, "GET", path+"/credential", "")
	r.public.want(pending, 409, "credential_pending")
	if pending.header.Get("Retry-After") == "" || !strings.Contains(pending.body, "turn") {
		t.Errorf("pending: %v %s", pending.header, pending.body)
	}
	as[struct{}](r.op, one, "POST", "/v1/sync", "", 200)
	first := r.public.do(token, "GET", path+"/credential", "")
	r.public.want(first, 200, "")
	ha1 := fmt.Sprintf("%032x", 0xabc1)
	if !strings.Contains(first.body, ha1) || !strings.Contains(first.body, laptop.Instance) {
		t.Errorf("%s", first.body)
	}
	etag := first.header.Get("ETag")
	r.public.want(r.public.do(token, "GET", path+"/credential", "", "If-None-Match", etag), 304, "")
	r.pbx.mu.Lock()
	r.pbx.version++
	r.pbx.mu.Unlock()
	as[struct{}](r.op, one, "POST", "/v1/sync", "", 200)
	rotated := r.public.do(token, "GET", path+"/credential", "", "If-None-Match", etag)
	r.public.want(rotated, 200, "")
	if strings.Contains(rotated.body, ha1) || rotated.header.Get("ETag") == etag {
		t.Error("the rotated credential was not handed out")
	}

	r.public.want(r.public.do(token, "POST", path+"/registration",
		`{"outcome":"failed","code":401,"text":"Unauthorized","cause":"sip","registrar":"sbc.one.example:5061"}`), 204, "")
	seen := as[user](r.op, one, "GET", "/v1/users/"+ann.ID, "", 200)
	if seen.State != "sip_error" || seen.SIPCode != 401 || !strings.Contains(seen.Text, "Sync this user") ||
		len(seen.Timeline) == 0 {
		t.Errorf("after a 401: %+v", seen)
	}

	want := r.public.do(token, "GET", "/v1/devices/dev_none", "")
	r.public.want(want, 404, "not_found")
	for _, d := range []device{bobs, foreign} {
		for _, request := range [][2]string{
			{"GET", ""}, {"GET", "/credential"}, {"DELETE", ""}, {"POST", "/registration"},
		} {
			body := ""
			if request[0] == "POST" {
				body = `{"outcome":"registered"}`
			}
			got := r.public.do(token, request[0], "/v1/devices/"+d.DeviceID+request[1], body)
			if got.status != 404 || got.body != want.body {
				t.Errorf("%v of %s: %d %s", request, d.DeviceID, got.status, got.body)
			}
		}
	}
	for _, id := range []string{other.ID, "usr_none"} {
		got := r.op.do(one, "GET", "/v1/users/"+id, "")
		if got.status != 404 || got.body != want.body {
			t.Errorf("user %s: %d %s", id, got.status, got.body)
		}
	}

	r.public.want(r.public.do(token, "DELETE", path, ""), 204, "")
	r.public.want(r.public.do(token, "GET", path+"/credential", ""), 401, "unauthenticated")
	for _, secret := range []string{ha1, laptop.Token, bobs.Token} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("%s was logged", secret)
		}
	}
}

// TestRealSignIn signs a member in with a link from the operator and uses the session as the portal's pages do.
func TestRealSignIn(t *testing.T) {
	db := storetest.SQLite(t)
	accounts := storeaccess.New(db)
	people := access.New(access.Config{Accounts: accounts, Members: accounts, Sessions: accounts, Now: time.Now})
	c := config(newWorld(), io.Discard)
	c.Access = people
	op, public := httptest.NewTLSServer(api.NewOperator(c)), httptest.NewTLSServer(api.New(c))
	t.Cleanup(op.Close)
	t.Cleanup(public.Close)
	operator := &client{t: t, base: op.URL, http: op.Client()}
	browser := &client{t: t, base: public.URL, http: public.Client()}
	as[struct{}](operator, "", "POST", "/v1/accounts",
		`{"name":"One","domain":"one.example","owner":"o@one.example"}`, 201)
	as[struct{}](operator, "", "POST", "/v1/members", `{"email":"s@one.example","role":"support"}`, 201)
	link := as[struct{ URL string }](operator, "", "POST", "/v1/sign-in-links", `{"email":"s@one.example"}`, 201)
	u, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := people.SignIn(t.Context(), account.Secret(u.Query().Get("token")), "")
	if err != nil {
		t.Fatal(err)
	}
	who := "cookie " + cookie.Reveal()
	browser.want(browser.do(who, "GET", "/v1/users", ""), 200, "")
	browser.want(browser.do(who, "POST", "/v1/members", `{"email":"x@one.example","role":"owner"}`), 403, "forbidden")
	browser.want(browser.do(who, "GET", "/v1/accounts", ""), 403, "forbidden")
}
