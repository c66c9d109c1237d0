package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/client"
	"demarc/cloudlink/server"
	links "demarc/connector"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/softphone"
	"demarc/store"
	storeconnector "demarc/store/connector"
	"demarc/store/storetest"
	"demarc/test/cloudlinktest"
	"demarc/test/persontest"
)

// The service's admin ends the link there, as when the person who gave it leaves: the connector says so and what to do,
// phones keep working, and a new consent mends it.
func TestGrantRevokedAtTheService(t *testing.T) {
	t.Parallel()
	s, x, _ := tapped(t, "")
	s.owner = persontest.New(t, s.gateway.URL(), s.gateway.CAPEM(), x.authority.CAPEM())
	s.owner.SignIn(s.signInLink())
	s.link()
	s.importPeople()
	s.sync()
	began := time.Now()
	p := newPhone(t, s.enrol("1001", "Ada's laptop"))
	on := p.await(softphone.Registered, began)
	s.await("1001", "registered", on.At)

	revokeAll(s, x)
	sync := s.owner.Request(http.MethodPost, s.owner.Server+"/v1/sync", nil)
	if status, body := s.owner.Do(sync); status < 400 {
		t.Errorf("a sync without a grant: %d %s", status, body)
	}
	var all struct{ Connectors []connector }
	s.owner.Call(http.MethodGet, "/v1/connectors", nil, &all)
	if len(all.Connectors) != 1 || all.Connectors[0].State != "needs_auth" {
		t.Fatalf("connectors %+v", all.Connectors)
	}
	mustContain(t, "the connector", all.Connectors[0].Reason, "no longer accepts", "Connect again")

	if u := s.status("1001"); u.State != "registered" {
		t.Errorf("the phone is %+v", u)
	}
	grace := newPhone(t, s.enrol("1002", "Grace's laptop")) // with what was synced before
	on = grace.await(softphone.Registered, began)
	s.await("1002", "registered", on.At)

	s.approve(all.Connectors[0].ID)
	s.sync()
}

// approve walks through sign-in, when the service asks for it, and consent.
func (s *site) approve(id string) {
	s.t.Helper()
	var start struct{ URL string }
	s.owner.Call(http.MethodPost, "/v1/connectors/"+id+"/connect", nil, &start)
	s.owner.Open(start.URL)
	if strings.Contains(persontest.Words(s.owner.Page), "assword") {
		email, password := s.serviceAdmin()
		s.owner.Press("sign-in", map[string]string{"email": email, "password": password.Reveal()})
	}
	s.owner.Press("approve", nil)
}

// revokeAll ends every authorisation through the service's own API.
func revokeAll(s *site, x *tap) {
	s.t.Helper()
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(x.granted(s.t, "authorization_code").received), &tokens); err != nil {
		s.t.Fatal(err)
	}
	ask := func(method, path string) string {
		req := s.owner.Request(method, x.url+cloudlink.PathPSI+path, nil)
		req.Header.Set("Authorization", "Bearer "+tokens.Access)
		status, body := s.owner.Do(req)
		if status >= 400 {
			s.t.Fatalf("%s %s at the service: %d %s", method, path, status, body)
		}
		return body
	}
	var apps cloudlink.List[cloudlink.LinkedApp]
	if err := json.Unmarshal([]byte(ask(http.MethodGet, "/connectors")), &apps); err != nil || apps.Count == 0 {
		s.t.Fatalf("the service lists %+v, %v", apps, err)
	}
	for _, app := range apps.Embedded.Items {
		ask(http.MethodDelete, "/connectors/"+app.ConnectorID)
	}
}

// One callback sent fifty times at once, as a reload, a prefetch and a thief would: one makes the link.
func TestCallbackInParallel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	c := s.connector()
	callback := ""
	s.owner.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/connect/callback" {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	s.approve(c.ID)
	if callback == "" {
		t.Fatal("the service sent the browser nowhere")
	}
	s.owner.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var won, refused atomic.Int64
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			reply, err := s.owner.Client.Get(callback)
			if err != nil {
				t.Error(err)
				return
			}
			defer reply.Body.Close()
			switch reply.StatusCode {
			case http.StatusSeeOther:
				won.Add(1)
			case http.StatusBadRequest:
				refused.Add(1)
			default:
				t.Errorf("a replay got %d", reply.StatusCode)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || refused.Load() != 49 {
		t.Errorf("%d won and %d were refused", won.Load(), refused.Load())
	}
	var grants struct {
		connector
		Grants []struct{ Ended string }
	}
	s.owner.Call(http.MethodGet, "/v1/connectors/"+c.ID, nil, &grants)
	if grants.State != "linked" || len(grants.Grants) != 1 {
		t.Errorf("the connector is %+v", grants)
	}
}

const deputy = "deputy@acme.example"

// Two admins gave consent; the one whose grant is in use leaves, and the other's takes over within the same request.
func TestStandbyGrantTakesOverAtTheRealService(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := cloudlinktest.Start(t, func(c *server.Config) {
			second := c.Accounts[0].Admins[0]
			second.Email = deputy
			c.Accounts[0].Admins = append(c.Accounts[0].Admins, second)
		})
		x.Acme.Add(1, 3)
		g := newGrants(t, db, x)
		g.link(cloudlinktest.Admin)
		time.Sleep(2 * time.Millisecond) // grants are told apart by when they were given, in milliseconds
		g.link(deputy)

		g.leaves(deputy)
		if users, _, err := g.source().Users(t.Context(), ""); err != nil || len(users) != 3 {
			t.Fatalf("after the deputy left: %d users, %v", len(users), err)
		}
		c, grants, err := g.service.Connector(t.Context(), g.actor.Account, g.id)
		if err != nil || c.State != links.Linked {
			t.Fatalf("%+v, %v", c, err)
		}
		for _, one := range grants {
			if one.EndedAt.IsZero() != (one.Email == cloudlinktest.Admin) {
				t.Errorf("grant %+v", one)
			}
		}
		g.leaves(cloudlinktest.Admin)
		if _, _, err := g.source().Users(t.Context(), ""); err == nil {
			t.Fatal("users were read though both had left")
		}
		c, _, err = g.service.Connector(t.Context(), g.actor.Account, g.id)
		if err != nil || c.State != links.NeedsAuth {
			t.Fatalf("%+v, %v", c, err)
		}
		mustContain(t, "the connector", c.Reason, cloudlinktest.Admin, "no longer accepts", "Connect again")
	})
}

// grants is a connector at the service of the tests.
type grants struct {
	*testing.T
	service *links.Service
	client  *client.Client
	remote  *cloudlinktest.Service
	actor   account.Member
	id      links.ID
}

func newGrants(t *testing.T, db *store.DB, x *cloudlinktest.Service) *grants {
	t.Helper()
	c, err := client.New(client.Config{
		ClientID: cloudlinktest.ClientID, ClientSecret: cloudlinktest.Secret, RedirectURI: cloudlinktest.RedirectURI,
		Scopes: strings.Fields(cloudlinktest.Scopes), Roots: x.Roots,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	g := &grants{T: t, client: c, remote: x, service: links.New(links.Config{
		Store: storeconnector.New(db, sealtest.New(t)), OAuth: c, RedirectURI: cloudlinktest.RedirectURI,
	})}
	g.actor = account.Member{Account: storetest.Account(t, db, "corp.test"), ID: "mem_1", Role: account.Admin}
	if err := g.service.Install(t.Context(), g.actor); err != nil {
		t.Fatal(err)
	}
	made, err := g.service.Create(t.Context(), g.actor, "Main", x.URL)
	if err != nil {
		t.Fatal(err)
	}
	g.id = made.ID
	return g
}

func (g *grants) link(email string) {
	g.Helper()
	where, err := g.service.Begin(g.Context(), g.actor, "session", g.id)
	if err != nil {
		g.Fatal(err)
	}
	q := g.remote.Browser(g.T).Consent(where, email)
	if _, _, err = g.service.Complete(g.Context(), g.actor, "session", links.Callback{
		Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss"),
	}); err != nil {
		g.Fatal(err)
	}
}

func (g *grants) source() *client.Source {
	return g.client.Source(g.remote.URL, g.token)
}

func (g *grants) token(ctx context.Context, refused account.Secret) (account.Secret, error) {
	if refused != "" {
		return g.service.Renew(ctx, g.actor.Account, g.id, refused)
	}
	return g.service.Token(ctx, g.actor.Account, g.id)
}

// leaves ends a person's authorisation at the service.
func (g *grants) leaves(email string) {
	g.Helper()
	_, all, err := g.service.Connector(g.Context(), g.actor.Account, g.id)
	if err != nil {
		g.Fatal(err)
	}
	subject := ""
	for _, one := range all {
		if one.Email == email && one.EndedAt.IsZero() {
			subject = one.Subject
		}
	}
	token, err := g.service.Token(g.Context(), g.actor.Account, g.id)
	if err != nil {
		g.Fatal(err)
	}
	var apps cloudlink.List[cloudlink.LinkedApp]
	if err := json.Unmarshal([]byte(g.ask(http.MethodGet, "/connectors", token)), &apps); err != nil {
		g.Fatal(err)
	}
	for _, app := range apps.Embedded.Items {
		if app.LinkedBy == subject {
			g.ask(http.MethodDelete, "/connectors/"+app.ConnectorID, token)
			return
		}
	}
	g.Fatalf("%s (%s) has linked nothing: %+v", email, subject, apps)
}

func (g *grants) ask(method, path string, token account.Secret) string {
	g.Helper()
	req, err := http.NewRequestWithContext(g.Context(), method, g.remote.URL+cloudlink.PathPSI+path, nil)
	if err != nil {
		g.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.remote.Roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		g.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode >= 400 {
		g.Fatalf("%s %s: %d %s, %v", method, path, reply.StatusCode, body, err)
	}
	return string(body)
}
