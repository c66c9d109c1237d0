package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/softphone"
	"demarc/telephony/digest"
	"demarc/test/persontest"
)

// canaries are the secrets of one run by what they are.
type canaries struct {
	t   *testing.T
	all map[string][]string
}

// add notes a secret. used is the proof that the system took it: one that nothing ever saw proves nothing.
func (c canaries) add(kind, value string, used bool) {
	c.t.Helper()
	if len(value) < 10 || !used {
		c.t.Errorf("the canary %s (%d bytes) was not used", kind, len(value))
		return
	}
	c.all[kind] = append(c.all[kind], value)
}

// kinds are all secrets that the main path knows.
func kinds() []string {
	return []string{
		"access token", "admin's password", "authorisation code", "clear password", "client secret", "consent ticket",
		"device token", "document token", "enrolment code", "HA1 MD5", "HA1 SHA-256", "keyset", "PKCE verifier",
		"portal session", "refresh token", "rotated HA1", "service session", "sign-in token", "state",
	}
}

func (c canaries) absent(where, text string) {
	c.t.Helper()
	for _, kind := range c.found(text) {
		c.t.Errorf("%s holds a secret: %s", where, kind)
	}
}

// found looks for every form in which a secret could stand in a text.
func (c canaries) found(text string) []string {
	var kinds []string
	lower := strings.ToLower(text)
	for kind, values := range c.all {
		for _, value := range values {
			if slices.ContainsFunc(forms(value), func(form string) bool {
				return strings.Contains(text, form) || strings.Contains(lower, strings.ToLower(form))
			}) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}

func forms(value string) []string {
	all := []string{
		value, url.QueryEscape(value), hex.EncodeToString([]byte(value)),
		base64.RawStdEncoding.EncodeToString([]byte(value)), strings.ReplaceAll(value, "-", ""),
	}
	if raw, err := hex.DecodeString(value); err == nil {
		all = append(all, string(raw), base64.RawStdEncoding.EncodeToString(raw))
	}
	return slices.Compact(all)
}

// The search itself must find what it looks for.
func TestSearchFindsEveryForm(t *testing.T) {
	t.Parallel()
	c := canaries{t: t, all: map[string][]string{}}
	c.add("HA1", "5f4dcc3b5aa765d61d8327deb882cf99", true)
	c.add("code", "ABCD-EFGH-JKMN", true)
	for text, want := range map[string]int{
		"ha1=5F4DCC3B5AA765D61D8327DEB882CF99":                             1,
		"\x5f\x4d\xcc\x3b\x5a\xa7\x65\xd6\x1d\x83\x27\xde\xb8\x82\xcf\x99": 1,
		"code=abcdefghjkmn": 1, "ABCD-EFGH-JKMN 5f4dcc3b5aa765d61d8327deb882cf99": 2, "ABCD-EFGH": 0,
	} {
		if got := c.found(text); len(got) != want {
			t.Errorf("in %q it finds %v", text, got)
		}
	}
}

// No secret of the main path stands in a log, in a reply to anybody but whose it is, in the metrics or in the database.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, storeURL string) {
		c := canaries{t: t, all: map[string][]string{}}
		s, x, later := tapped(t, storeURL)
		walk(s, x, c, later)
		for _, kind := range kinds() {
			if len(c.all[kind]) == 0 {
				t.Errorf("the main path used no %s", kind)
			}
		}
		c.absent("the log", contains(t, s.log.String(), "level=DEBUG", "path=/v1/sync", "directory loaded"))
		c.absent("/metrics", contains(t, get(t, s.gateway.HealthURL()+"/metrics"), "demarc_registrar_bindings", `demarc_media_ports{state="free"}`,
			`demarc_media_jitter_seconds_bucket{direction="from_phone",le="0.01"} 0`))
		for who, replies := range strangers(s) {
			c.absent("what "+who+" may read", replies)
		}
		// Some of what stands in each table, so that an empty dump does not pass.
		dump := dumpDatabase(t, s.cfg.StoreURL())
		c.absent("the database", contains(t, dump, "sip_credential", "connector_grant", "ada@pbx.test", "urn:uuid:"))
		if storeURL == "" {
			c.absent("the database's file", contains(t, files(t, s.cfg.DataFile("demarc.db*")), "ada@pbx.test"))
		}
	})
}

// tapped starts a site whose traffic with the service can be read, and whose clock can be set forward.
func tapped(t *testing.T, storeURL string) (*site, *tap, func(time.Duration)) {
	s := prepareSite(t, onStore(storeURL))
	var ahead atomic.Int64
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s.start()
	x := newTap(t, port(t, s.gateway.CloudLinkURL()), s.gateway.CAPEM())
	s.stop()
	s.cfg.CloudLink.PublicURL = x.url
	s.cfg.Connector.CAFile = write(t, t.TempDir(), "ca.pem", string(x.authority.CAPEM()))
	s.start()
	return s, x, func(d time.Duration) { ahead.Add(int64(d)) }
}

// walk goes the main path and notes each secret once it has done its work.
func walk(s *site, x *tap, c canaries, later func(time.Duration)) {
	s.owner = persontest.New(s.t, s.gateway.URL(), s.gateway.CAPEM(), x.authority.CAPEM())
	link := s.signInLink()
	s.owner.SignIn(link)
	_, token, _ := strings.Cut(link, "token=")
	c.add("sign-in token", token, s.owner.At.Path == "/")
	c.add("portal session", s.owner.Cookie("__Host-demarc"), true)
	s.link()
	noteLink(s, x, c)
	s.importPeople()
	s.sync()
	profile := notePhones(s, c)
	noteDocument(s, c)
	noteRotation(s, c, profile)
	useAgain(s, c)
	later(59 * time.Minute) // the access token is about to end
	s.sync()
	e := x.granted(s.t, "refresh_token")
	c.add("refresh token", e.form("refresh_token"), true)
	noteTokens(s, c, e)
	keyset, err := os.ReadFile(s.cfg.KeysetFile())
	var keys struct {
		Key []struct{ KeyData struct{ Value string } }
	}
	if err != nil || json.Unmarshal(keyset, &keys) != nil || len(keys.Key) == 0 {
		s.t.Fatalf("the keyset cannot be read: %v", err)
	}
	c.add("keyset", keys.Key[0].KeyData.Value, true)
}

func noteLink(s *site, x *tap, c canaries) {
	_, password := s.serviceAdmin()
	signIn := x.find(s.t, "a sign-in", func(e exchange) bool { return e.form("action") == "sign-in" })
	c.add("admin's password", password.Reveal(),
		signIn.form("password") == password.Reveal() && signIn.status == http.StatusSeeOther)
	c.add("service session", signIn.cookie("__Host-cloudlink"), true)
	consent := x.find(s.t, "a consent", func(e exchange) bool { return e.form("action") == "approve" })
	c.add("consent ticket", consent.form("ticket"), consent.status == http.StatusSeeOther)
	back, err := url.Parse(consent.header.Get("Location"))
	if err != nil {
		s.t.Fatal(err)
	}
	e := x.granted(s.t, "authorization_code")
	c.add("state", back.Query().Get("state"), true)
	c.add("authorisation code", e.form("code"), e.form("code") == back.Query().Get("code"))
	c.add("PKCE verifier", e.form("code_verifier"), true)
	secret, err := os.ReadFile(s.cfg.DataFile("cloudlink-client.secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	_, basic, _ := e.request.BasicAuth()
	clientSecret := strings.TrimSpace(string(secret))
	c.add("client secret", clientSecret, basic == clientSecret || e.form("client_secret") == clientSecret)
	noteTokens(s, c, e)
}

func noteTokens(s *site, c canaries, e exchange) {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(e.received), &tokens); err != nil {
		s.t.Fatal(err)
	}
	c.add("access token", tokens.Access, true)
	c.add("refresh token", tokens.Refresh, true)
}

// notePhones registers a phone of the SDK with the HA1 alone, and one that knows its clear password.
func notePhones(s *site, c canaries) *softphone.Profile {
	code := s.enrolmentLink("1001")
	profile, err := softphone.Enrol(s.t.Context(), softphone.Enrolment{Link: code, Name: "Ada's laptop"})
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, err := softphone.ParseLink(code)
	if err != nil {
		s.t.Fatal(err)
	}
	c.add("enrolment code", parsed.Code.Reveal(), true)
	began := time.Now()
	newPhone(s.t, profile).await(softphone.Registered, began)
	c.add("device token", profile.Token.Reveal(), true)
	handed := s.handedOut(profile)
	const ada, grace = "canary-analytical-engine", "canary-nanoseconds-of-wire"
	for _, algorithm := range []digest.Algorithm{digest.MD5, digest.SHA256} {
		ha1 := digest.NewHash(algorithm, "1001", domain, account.Secret(ada)).HA1.Reveal()
		c.add("HA1 "+string(algorithm), ha1, strings.Contains(handed, ha1))
		c.add("HA1 "+string(algorithm), digest.NewHash(algorithm, "1002", domain, grace).HA1.Reveal(), true)
	}
	c.add("clear password", ada, true) // its HA1 has just registered
	status := newPlainPhone(s.t, s.gateway.SIPAddress("udp"), "1002", grace).register(60)
	c.add("clear password", grace, status == http.StatusOK)
	return profile
}

// handedOut returns what the device gets as its credential.
func (s *site) handedOut(profile *softphone.Profile) string {
	s.t.Helper()
	device := persontest.New(s.t, s.gateway.URL(), s.gateway.CAPEM())
	req := device.Request(http.MethodGet, s.gateway.URL()+"/v1/devices/"+profile.DeviceID+"/credential", nil)
	req.Header.Set("Authorization", "Bearer "+profile.Token.Reveal())
	status, body := device.Do(req)
	if status != http.StatusOK {
		s.t.Fatalf("the device's credential: %d %s", status, body)
	}
	return body
}

func noteDocument(s *site, c canaries) {
	var link struct{ URL string }
	s.owner.Call(http.MethodPost, "/v1/users/"+s.ids["1002"]+"/document-links",
		map[string]string{"app": "linphone", "kind": "mobile"}, &link)
	linphone := persontest.New(s.t, s.gateway.URL(), s.gateway.CAPEM())
	_, document := linphone.Do(linphone.Request(http.MethodGet, link.URL, nil))
	_, token, _ := strings.Cut(link.URL, "/provision/")
	c.add("document token", token, strings.Contains(document, c.all["HA1 MD5"][1]))
}

func noteRotation(s *site, c canaries, profile *softphone.Profile) {
	before := s.handedOut(profile)
	s.rotate("1001")
	s.sync()
	after := s.handedOut(profile)
	var credential struct{ Digests []struct{ HA1 string } }
	if err := json.Unmarshal([]byte(after), &credential); err != nil {
		s.t.Fatal(err)
	}
	for _, d := range credential.Digests {
		c.add("rotated HA1", d.HA1, !strings.Contains(before, d.HA1))
	}
}

// useAgain sends what was used up a second time: what is refused is logged most.
func useAgain(s *site, c canaries) {
	server := s.gateway.URL()
	back := url.Values{
		"code": {c.all["authorisation code"][0]}, "state": {c.all["state"][0]}, "iss": {s.gateway.CloudLinkURL()},
	}
	enrol := `{"code":"` + c.all["enrolment code"][0] + `","name":"again"}`
	for _, try := range []struct{ method, path, kind, body string }{
		{http.MethodGet, "/connect/callback?" + back.Encode(), "", ""},
		{http.MethodGet, "/provision/" + c.all["document token"][0], "", ""},
		{http.MethodPost, "/v1/enrolments", "application/json", enrol},
		{http.MethodPost, "/sign-in", "application/x-www-form-urlencoded", "token=" + c.all["sign-in token"][0]},
	} {
		req := s.owner.Request(try.method, server+try.path, strings.NewReader(try.body))
		req.Header.Set("Content-Type", try.kind)
		status, body := s.owner.Do(req)
		if status < 400 || status >= 500 {
			s.t.Errorf("%s a second time: %d", try.path, status)
		}
		c.absent("what is said of a second use", body)
	}
}

// strangers returns all that everybody but the phones themselves can read, by who reads it.
func strangers(s *site) map[string]string {
	people := map[string]*persontest.Person{"the owner": s.owner, "nobody": persontest.New(s.t, s.gateway.URL(), s.gateway.CAPEM())}
	s.owner.Call(http.MethodPost, "/v1/members", map[string]string{"email": "sue@pbx.test", "role": "support"}, nil)
	s.operator("/v1/accounts", map[string]string{"name": "Other", "domain": "other.test", "owner": "eve@other.test"})
	for email, account := range map[string]string{
		"sue@pbx.test": domain, "grace@pbx.test": domain, "eve@other.test": "other.test",
	} {
		p := persontest.New(s.t, s.gateway.URL(), s.gateway.CAPEM())
		p.SignIn(s.operator("/v1/sign-in-links", map[string]string{"email": email, "account": account}))
		people[email] = p
	}
	device := s.status("1001").Devices[0].ID
	var links struct{ Connectors []connector }
	s.owner.Call(http.MethodGet, "/v1/connectors", nil, &links)
	ada, link := s.ids["1001"], links.Connectors[0].ID
	pages := []string{
		"/", "/users/" + ada, "/connectors", "/members", "/import", "/ca.pem", "/v1/users", "/v1/users/" + ada, "/v1/members",
		"/v1/connectors", "/v1/connectors/" + link, "/v1/sync-runs", "/v1/devices/" + device,
		"/v1/devices/" + device + "/credential", "/v1/openapi.json",
	}
	forbidden := []string{"/v1/users/" + ada + "/enrolment-codes", "/v1/connectors/" + link + "/disconnect"}
	replies := map[string]string{}
	for who, p := range people {
		for _, path := range pages {
			status, body := p.Do(p.Request(http.MethodGet, s.gateway.URL()+path, nil))
			if who == "the owner" && path == "/v1/users/"+ada && status != http.StatusOK {
				s.t.Errorf("%s: %d", path, status)
			}
			replies[who] += body
		}
		if who == "the owner" {
			continue
		}
		for _, path := range forbidden {
			req := p.Request(http.MethodPost, s.gateway.URL()+path, strings.NewReader(`{"kind":"desktop"}`))
			req.Header.Set("Content-Type", "application/json")
			status, body := p.Do(req)
			if status < 400 {
				s.t.Errorf("%s may POST %s: %d", who, path, status)
			}
			replies[who] += body
		}
	}
	return replies
}

// operator posts to the Unix socket and returns the link in the reply, if there is one.
func (s *site) operator(path string, in any) string {
	s.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.cfg.OperatorSocket())
	}}
	defer transport.CloseIdleConnections()
	p := persontest.New(s.t, "http://operator")
	p.Client.Transport = transport
	var out struct{ URL string }
	p.Call(http.MethodPost, path, in, &out)
	return out.URL
}

func get(t *testing.T, address string) string {
	t.Helper()
	_, body := fetch(t, address)
	return body
}

// fetch reads a page over plain HTTP.
func fetch(t *testing.T, address string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: patience}).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	content, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(content)
}

// contains fails when a text is not what it should be, and returns it.
func contains(t *testing.T, text string, marks ...string) string {
	t.Helper()
	for _, mark := range marks {
		if !strings.Contains(text, mark) {
			t.Errorf("%q is not in a text of %d bytes that is searched for secrets", mark, len(text))
		}
	}
	return text
}

func files(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}
