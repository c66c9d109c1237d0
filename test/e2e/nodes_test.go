package e2e_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"demarc/api"
	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/store/storetest"
	"demarc/telephony"
	"demarc/telephony/sip"

	"github.com/icholy/digest"
)

// Two nodes on one PostgreSQL: a request for a phone that comes to the one reaches the phone over the connection that it
// opened to the other, and no longer when that has closed.
func TestPhonesOfAnotherNodeAreReached(t *testing.T) {
	t.Parallel()
	a, b := twoSites(t)
	for _, transport := range []string{"udp", "tcp"} {
		phone := newLivePhone(t, b.gateway.SIPAddress(transport), transport)
		if status := phone.register(60); status != 200 {
			t.Fatalf("%s: register got %d", transport, status)
		}
		began := time.Now()
		awaitReach(t, a, "200 over node-b")
		t.Logf("%s: reached through the other node %s after the 200", transport, time.Since(began))
		if status := phone.register(0); status != 200 {
			t.Fatalf("%s: leaving got %d", transport, status)
		}
		awaitReach(t, a, "nobody")
	}
	// What node-a does not know any more in memory, it learns again from the store when it starts.
	phone := newLivePhone(t, b.gateway.SIPAddress("tcp"), "tcp")
	if status := phone.register(60); status != 200 {
		t.Fatalf("register got %d", status)
	}
	a.stop()
	a.start()
	awaitReach(t, a, "200 over node-b")
}

// A phone that registered over UDP at one address of a node, whose listener is on all, and that hears nothing from another one, is reached
// there: through the other node, and after a restart of its own.
func TestPhoneIsReachedFromTheAddressThatItWritesTo(t *testing.T) {
	t.Parallel()
	a, b := twoSites(t, func(c *config.Config) {
		for i := range c.Telephony.Listeners {
			if l := &c.Telephony.Listeners[i]; l.Name == "udp" {
				l.Address = "0.0.0.0:0"
			}
		}
	})
	_, port, err := net.SplitHostPort(b.gateway.SIPAddress("udp"))
	if err != nil {
		t.Fatal(err)
	}
	phone := newLivePhone(t, net.JoinHostPort("127.0.0.2", port), "udp")
	if status := phone.register(600); status != 200 {
		t.Fatalf("register got %d", status)
	}
	awaitReach(t, a, "200 over node-b")
	awaitReach(t, b, "200 over node-b")
	b.stop()
	b.start()
	awaitReach(t, b, "200 over node-b")
	awaitReach(t, a, "200 over node-b")
}

// twoSites are two nodes on one PostgreSQL, the second of which is configured otherwise.
func twoSites(t *testing.T, second ...func(*config.Config)) (a, b *site) {
	t.Helper()
	database := account.Secret(storetest.PostgreSQLURL(t))
	node := func(name string) func(*config.Config) {
		return func(c *config.Config) {
			c.Store.URL, c.Account.Domain, c.Roles = database, domain, []config.Role{config.RoleTelephony}
			c.Telephony.Node, c.Telephony.NodeListen = name, "127.0.0.1:0"
		}
	}
	a = newSite(t, node("node-a"))
	b = prepareSite(t, append(second, node("node-b"), func(c *config.Config) { c.Store.KeysetFile = a.cfg.KeysetFile() })...)
	if err := os.CopyFS(b.cfg.DataFile("pki"), os.DirFS(a.cfg.DataFile("pki"))); err != nil {
		t.Fatal(err)
	}
	b.start()
	return a, b
}

// A phone that keeps connections of its own (RFC 5626) opens a new one before it gives the old one back: the other node asks it over
// the new one from then on.
func TestANewConnectionIsKnownAtTheOtherNode(t *testing.T) {
	t.Parallel()
	a, b := twoSites(t)
	phone := newLivePhone(t, b.gateway.SIPAddress("tcp"), "tcp")
	phone.instance = "<urn:uuid:00000000-0000-4000-8000-000000000001>"
	if status := phone.register(60); status != 200 {
		t.Fatalf("register got %d", status)
	}
	awaitReach(t, a, "200 over node-b")
	old := phone.conn
	phone.conn = newLivePhone(t, b.gateway.SIPAddress("tcp"), "tcp").conn
	if status := phone.register(60); status != 200 {
		t.Fatalf("registering anew got %d", status)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	awaitReach(t, a, "200 over node-b")
}

// awaitReach waits until asking the phones of 1001 from a node comes to an end.
func awaitReach(t *testing.T, s *site, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = reached(s.gateway.Reach(t.Context(), telephony.NewAoR("1001", domain))); got == want {
			return
		}
	}
	t.Fatalf("%q, want %q", got, want)
}

func reached(all []api.Reached) string {
	if len(all) == 0 {
		return "nobody"
	}
	var texts []string
	for _, r := range all {
		texts = append(texts, fmt.Sprintf("%d over %s", r.Status, r.Node))
	}
	return strings.Join(texts, ", ")
}

// livePhone is a phone that answers OPTIONS over the connection that it registered with.
type livePhone struct {
	t        *testing.T
	conn     *sip.Conn
	callID   string
	instance string // <urn:…>: it keeps a connection of its own (RFC 5626); empty: it does not
	cseq     int
}

func newLivePhone(t *testing.T, address, transport string) *livePhone {
	t.Helper()
	conn, err := sip.Dial(t.Context(), sip.Config{Transport: telephony.Transport(transport), Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &livePhone{t: t, conn: conn, callID: account.NewID("call")}
}

// register answers the challenge and returns the last status code.
func (p *livePhone) register(expires int) int {
	p.t.Helper()
	response := p.ask(expires)
	if response.Status != 401 {
		return response.Status
	}
	challenge, err := digest.ParseChallenge(response.Header("WWW-Authenticate"))
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := digest.Digest(challenge, digest.Options{
		Method: "REGISTER", URI: "sip:" + domain, Username: "1001", Password: "canary-analytical-engine",
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.ask(expires, sip.Header{Name: "Authorization", Value: answer.String()}).Status
}

func (p *livePhone) ask(expires int, more ...sip.Header) *sip.Response {
	p.t.Helper()
	p.cseq++
	contact := "<sip:1001@" + p.conn.LocalAddr().String() + ">"
	if p.instance != "" {
		contact += `;+sip.instance="` + p.instance + `";reg-id=1`
		more = append(more, sip.Header{Name: "Supported", Value: "path, outbound"})
	}
	response, err := p.conn.Do(p.t.Context(), sip.Request{Method: "REGISTER", URI: "sip:" + domain, Headers: append([]sip.Header{
		{Name: "From", Value: "<sip:1001@" + domain + ">;tag=a"}, {Name: "To", Value: "<sip:1001@" + domain + ">"},
		{Name: "Call-ID", Value: p.callID}, {Name: "CSeq", Value: fmt.Sprint(p.cseq, " REGISTER")},
		{Name: "Contact", Value: contact}, {Name: "Expires", Value: fmt.Sprint(expires)},
	}, more...)})
	if err != nil {
		p.t.Fatal(err)
	}
	return response
}
