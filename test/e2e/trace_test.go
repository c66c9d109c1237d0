package e2e_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/store/storetest"
)

// Support reads what a phone and the registrar said to each other, and no secret.
func TestTraceOfAPhone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	phone := newLivePhone(t, s.gateway.SIPAddress("tcp"), "tcp")
	if status := phone.register(60); status != 200 {
		t.Fatalf("register got %d", status)
	}
	type message struct {
		Inbound      bool
		AoR, CallID  string
		Text, Remote string
	}
	read := func(of string) (all []message) {
		var told struct{ Messages []message }
		s.owner.Call(http.MethodGet, "/v1/trace?of="+url.QueryEscape(of), nil, &told)
		return told.Messages
	}
	var got []message
	for end := time.Now().Add(patience); len(got) < 4 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = read("1001")
	}
	var heads []string
	for _, m := range got {
		heads = append(heads, strings.SplitN(m.Text, "\r\n", 2)[0])
		if m.AoR != "1001@"+domain || m.Remote != phone.conn.LocalAddr().String() {
			t.Errorf("%+v", m)
		}
	}
	want := "REGISTER sip:pbx.test SIP/2.0|SIP/2.0 401 Unauthorized|REGISTER sip:pbx.test SIP/2.0|SIP/2.0 200 OK"
	if strings.Join(heads, "|") != want {
		t.Fatalf("%s", strings.Join(heads, "|"))
	}
	if text := got[2].Text; !strings.Contains(text, `username="1001"`) || !strings.Contains(text, "response=***") {
		t.Errorf("%s", text)
	}
	if call := read(got[0].CallID); len(call) != 4 {
		t.Errorf("by Call-ID: %d messages", len(call))
	}
	for _, of := range []string{"1001@other.test", "4711", "sip:1002@" + domain} {
		if found := read(of); len(found) != 0 {
			t.Errorf("%s: %d messages", of, len(found))
		}
	}
}

// traceReply is what the API tells of messages.
type traceReply struct {
	Messages []struct{ Node, Text string }
	Next     string
	Unasked  []struct{ Node, Reason string }
}

// who says which node told what, and which could not be asked.
func (r traceReply) who() string {
	var told []string
	for _, m := range r.Messages {
		head, _, _ := strings.Cut(m.Text, " ")
		told = append(told, m.Node+" "+head)
	}
	for _, n := range r.Unasked {
		told = append(told, "not "+n.Node)
	}
	return strings.Join(told, ", ")
}

// Several machines: support asks any of them, also one with phones alone through its socket, and reads what all remember.
func TestTraceOfAllNodes(t *testing.T) {
	t.Parallel()
	database := account.Secret(storetest.PostgreSQLURL(t))
	node := func(name, internal string, all ...config.Role) func(*config.Config) {
		return func(c *config.Config) {
			c.Store.URL, c.Account.Domain, c.Roles = database, domain, all
			c.Telephony.Node, c.Telephony.NodeListen = name, internal
		}
	}
	// A process without phones is no node, whatever its configuration names it.
	front := newSite(t, node("node-a", "", config.RoleConnector, config.RoleCloudLink), func(c *config.Config) { c.Telephony.Directory = "" })
	beside := func(name, internal string) *site {
		s := prepareSite(t, node(name, internal, config.RoleTelephony), func(c *config.Config) { c.Store.KeysetFile = front.cfg.KeysetFile() })
		if err := os.CopyFS(s.cfg.DataFile("pki"), os.DirFS(front.cfg.DataFile("pki"))); err != nil {
			t.Fatal(err)
		}
		s.start()
		return s
	}
	a, b := beside("node-a", "127.0.0.1:0"), beside("node-b", "127.0.0.1:0")
	for _, s := range []*site{a, b} {
		if status := newLivePhone(t, s.gateway.SIPAddress("tcp"), "tcp").register(60); status != 200 {
			t.Fatalf("register got %d", status)
		}
	}
	front.signIn()
	var after string
	both := "node-a REGISTER, node-a SIP/2.0, node-a REGISTER, node-a SIP/2.0, " +
		"node-b REGISTER, node-b SIP/2.0, node-b REGISTER, node-b SIP/2.0"
	for name, ask := range map[string]func(path string, out any) int{
		"front": func(path string, out any) int { front.owner.Call(http.MethodGet, path, nil, out); return 200 },
		"a":     a.socket, "b": b.socket,
	} {
		var told traceReply
		if status := ask("/v1/trace?of=1001", &told); status != 200 || told.who() != both {
			t.Errorf("%s told %d: %s", name, status, told.who())
		}
		after = told.Next
		var later traceReply
		if ask("/v1/trace?of=1001&after="+after, &later); later.who() != "" {
			t.Errorf("%s told again: %s", name, later.who())
		}
	}
	c := beside("node-c", "") // it cannot be asked, and that is said
	b.stop()                  // it remembers nothing any more
	var told traceReply
	if a.socket("/v1/trace?of=1001", &told); told.who() != "node-a REGISTER, node-a SIP/2.0, node-a REGISTER, node-a SIP/2.0, not node-c" {
		t.Errorf("%s", told.who())
	} else if !strings.Contains(told.Unasked[0].Reason, "set telephony.internal_listen there") {
		t.Errorf("%s", told.Unasked[0].Reason)
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/v1/users": 404, "/v1/trace?of=1&after=x": 422} {
		if status := c.socket(path, nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// socket asks a node's operator socket.
func (s *site) socket(path string, out any) int {
	s.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.cfg.OperatorSocket())
	}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: patience}
	reply, err := client.Get("http://operator" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	if out != nil {
		if err := json.NewDecoder(reply.Body).Decode(out); err != nil {
			s.t.Fatal(err)
		}
	}
	return reply.StatusCode
}
