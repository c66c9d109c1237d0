package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"demarc/store/storetest"
	"demarc/telephony"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
	"demarc/test/shipped"

	"github.com/icholy/digest"
)

// node is demarc serve in a process of its own, from the program as it is shipped.
type node struct {
	t            *testing.T
	program, dir string
	cmd          *exec.Cmd
	said         *buffer
	udp, tcp     string
}

// program builds demarc.
func program(t *testing.T) string {
	t.Helper()
	path, err := shipped.Build(t.Context(), shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newNode writes a node's configuration. Keyset and authority are those of the first node, as docs/architecture.md says.
func newNode(t *testing.T, program, name, database string, first *node) *node {
	t.Helper()
	n := &node{t: t, program: program, dir: shortDir(t)}
	if first != nil {
		keyset, err := os.ReadFile(filepath.Join(first.dir, "keyset.json"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, n.dir, "keyset.json", string(keyset))
		if err := os.CopyFS(filepath.Join(n.dir, "pki"), os.DirFS(filepath.Join(first.dir, "pki"))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, n.dir, "users.yaml", users)
	write(t, n.dir, "demarc.yaml", fmt.Sprintf(`roles: [connector, telephony]
store: {url: %q}
account: {domain: %s}
http: {listen: "127.0.0.1:0", metrics: ""}
telephony:
  node: %s
  internal_listen: "127.0.0.1:0"
  directory: %s/users.yaml
  listeners:
  - {name: udp, transport: udp, address: "127.0.0.1:0"}
  - {name: tcp, transport: tcp, address: "127.0.0.1:0"}
`, database, domain, name, n.dir))
	t.Cleanup(func() {
		if n.cmd != nil {
			n.end(syscall.SIGTERM)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, n.said)
		}
	})
	return n
}

func (n *node) command(args ...string) *exec.Cmd {
	return exec.Command(n.program, append([]string{"--config", filepath.Join(n.dir, "demarc.yaml"), "--data-dir", n.dir}, args...)...)
}

// start waits for what the node says of itself.
func (n *node) start() {
	n.t.Helper()
	n.said, n.cmd = new(buffer), n.command("serve")
	n.cmd.Stderr = n.said
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.udp, n.tcp = n.listens("UDP"), n.listens("TCP")
}

func (n *node) listens(transport string) (address string) {
	n.t.Helper()
	line := regexp.MustCompile(`SIP over ` + transport + ` +(\S+)`)
	eventually(n.t, "the node says where it listens", func() (bool, any) {
		if m := line.FindStringSubmatch(n.said.String()); m != nil {
			address = m[1]
		}
		return address != "", n.said
	})
	return address
}

// end ends the process by its own id.
func (n *node) end(signal syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(signal); err != nil {
		n.t.Fatal(err)
	}
	err := n.cmd.Wait()
	if killed := (*exec.ExitError)(nil); err != nil && (signal != syscall.SIGKILL || !errors.As(err, &killed)) {
		n.t.Errorf("the node ended with %v: %s", err, n.said)
	}
	n.cmd = nil
}

// reach asks a user's phones from the node, as an operator does.
func (n *node) reach(user string) string {
	out, _ := n.command("reach", user).CombinedOutput() // its exit code stands in what it says
	return strings.TrimSpace(string(out))
}

func (n *node) awaitReach(user, want string) {
	n.t.Helper()
	pattern := regexp.MustCompile(want)
	eventually(n.t, "asking "+user+" gives "+want, func() (bool, any) {
		got := n.reach(user)
		return pattern.MatchString(got) && !strings.Contains(got, "\n"), got
	})
}

// watcher is a phone that counts what it is asked.
type watcher struct {
	*livePhone
	user, instance string
	asked          chan string // methods, and the body of NOTIFYs
	options        atomic.Int64
	picksUp        atomic.Bool // instead of being busy
}

func newWatcher(t *testing.T, transport, address, user, instance string) *watcher {
	t.Helper()
	w := &watcher{user: user, instance: instance, asked: make(chan string, 100)}
	conn, err := sip.Dial(t.Context(), sip.Config{
		Transport: telephony.Transport(transport), Address: address, Handler: func(m *wire.Message) sip.Answer {
			if m.Is("OPTIONS") {
				w.options.Add(1)
			}
			select {
			case w.asked <- string(m.Method) + " " + string(m.Body):
			default:
			}
			switch {
			case m.Is("INVITE") && w.picksUp.Load():
				return sip.Answer{Status: 200, Tag: "up", Body: []byte(offer), Headers: []sip.Header{
					{Name: "Contact", Value: "<" + w.contact() + ">"}, {Name: "Content-Type", Value: "application/sdp"}}}
			case m.Is("INVITE"):
				return sip.Answer{Status: 486}
			}
			return sip.Answer{Status: 200}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w.livePhone = &livePhone{t: t, conn: conn, callID: sip.NewToken()}
	return w
}

func password(user string) string {
	_, rest, _ := strings.Cut(users, `"`+user+`"`)
	_, rest, _ = strings.Cut(rest, "password: ")
	rest, _, _ = strings.Cut(rest, "}")
	return rest
}

// request sends a request of the user, answers the challenge, and returns the last response.
func (w *watcher) request(method string, more ...sip.Header) *sip.Response {
	w.t.Helper()
	aor := "sip:" + w.user + "@" + domain
	uri := map[string]string{"REGISTER": "sip:" + domain, "SUBSCRIBE": aor}[method]
	for _, last := range []bool{false, true} {
		w.cseq++
		headers := append([]sip.Header{
			{Name: "From", Value: "<" + aor + ">;tag=a"}, {Name: "To", Value: "<" + aor + ">"}, {Name: "Call-ID", Value: w.callID + method},
			{Name: "CSeq", Value: fmt.Sprint(w.cseq, " ", method)},
			// As long as those of other phones: over UDP strangers are not told more than they say.
			{Name: "User-Agent", Value: "a phone of these tests"},
			{Name: "Allow", Value: "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, INFO, UPDATE, PRACK, MESSAGE"},
		}, more...)
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		response, err := w.conn.Do(ctx, sip.Request{Method: method, URI: uri, Headers: headers})
		cancel()
		if err != nil {
			w.t.Fatal(err)
		}
		if response.Status != 401 || last {
			return response
		}
		challenge, err := digest.ParseChallenge(response.Header("WWW-Authenticate"))
		if err != nil {
			w.t.Fatal(err)
		}
		answer, err := digest.Digest(challenge, digest.Options{Method: method, URI: uri, Username: w.user, Password: password(w.user)})
		if err != nil {
			w.t.Fatal(err)
		}
		more = append(more, sip.Header{Name: "Authorization", Value: answer.String()})
	}
	return nil
}

const offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 0\r\n"

// call rings a user and returns the last status; nobody here speaks.
func (w *watcher) call(user string) int {
	w.t.Helper()
	return w.invite(user).Status
}

// invite does that, and returns the response itself.
func (w *watcher) invite(user string) *sip.Response {
	w.t.Helper()
	uri, proof := "sip:"+user+"@"+domain, ""
	for {
		w.cseq++
		headers := []sip.Header{
			{Name: "From", Value: "<sip:" + w.user + "@" + domain + ">;tag=call"}, {Name: "To", Value: "<" + uri + ">"},
			{Name: "Call-ID", Value: w.callID + "call"}, {Name: "CSeq", Value: fmt.Sprint(w.cseq, " INVITE")},
			{Name: "Contact", Value: "<" + w.contact() + ">"}, {Name: "Content-Type", Value: "application/sdp"},
		}
		if proof != "" {
			headers = append(headers, sip.Header{Name: "Proxy-Authorization", Value: proof})
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		response, err := w.conn.Do(ctx, sip.Request{Method: "INVITE", URI: uri, Headers: headers, Body: []byte(offer)})
		cancel()
		if err != nil {
			w.t.Fatal(err)
		}
		if response.Status != 407 || proof != "" {
			return response
		}
		challenge, err := digest.ParseChallenge(response.Header("Proxy-Authenticate"))
		if err != nil {
			w.t.Fatal(err)
		}
		answer, err := digest.Digest(challenge, digest.Options{Method: "INVITE", URI: uri, Username: w.user, Password: password(w.user)})
		if err != nil {
			w.t.Fatal(err)
		}
		proof = answer.String()
	}
}

func (w *watcher) contact() string { return "sip:" + w.user + "@" + w.conn.LocalAddr().String() }

func (w *watcher) register() *sip.Response {
	w.t.Helper()
	response := w.request("REGISTER", sip.Header{Name: "Expires", Value: "300"},
		sip.Header{Name: "Contact", Value: "<" + w.contact() + `>;+sip.instance="<urn:uuid:` + w.instance + `>"`})
	if response.Status != 200 {
		w.t.Fatalf("%s got %d", w.user, response.Status)
	}
	return response
}

// fetch asks for the bindings of the user without registering anything (RFC 3261 §10.2.3).
func (w *watcher) fetch() string { return fmt.Sprint(w.request("REGISTER").Values("Contact")) }

// expects waits until the phone is asked something that holds the words.
func (w *watcher) expects(words ...string) {
	w.t.Helper()
	w.expectsWithin(patience, words...)
}

func (w *watcher) expectsWithin(limit time.Duration, words ...string) {
	w.t.Helper()
	late := time.After(limit)
	var last string
	for {
		select {
		case last = <-w.asked:
		case <-late:
			w.t.Fatalf("the phone was not asked %q; last: %q", words, last)
		}
		missing := false
		for _, word := range words {
			missing = missing || !strings.Contains(last, word)
		}
		if !missing {
			return
		}
	}
}

// twoNodes starts two processes on one PostgreSQL, the second with the keyset and the authority of the first.
func twoNodes(t *testing.T) (a, b *node) {
	t.Helper()
	shipped, database := program(t), storetest.PostgreSQLURL(t)
	a = newNode(t, shipped, "node-a", database, nil)
	a.start()
	b = newNode(t, shipped, "node-b", database, a)
	b.start()
	return a, b
}

// Two processes on one PostgreSQL, with the keyset and the authority of the first: what is asked at one reaches phones of
// the other, and each knows at once who registers at the other. One is killed: its phones come back at the other, and what
// is left of it ends when it is there again.
func TestTwoProcessesAreOneInstallation(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)

	desk := newWatcher(t, "tcp", b.tcp, "1001", "desk")
	desk.register()
	began := time.Now()
	far := newWatcher(t, "udp", a.udp, "1001", "far")
	eventually(t, "node-a knows the phone of node-b", func() (bool, any) {
		bindings := far.fetch()
		return strings.Contains(bindings, desk.contact()), bindings
	})
	t.Logf("a binding of node-b is seen by node-a within %v of its 200", time.Since(began).Round(time.Millisecond))
	a.awaitReach("1001", `^`+desk.contact()+` at node node-b answered 200 OK after \d+ ms$`)
	desk.expects("OPTIONS")
	caller := newWatcher(t, "tcp", a.tcp, "1002", "caller")
	if status := caller.call("1001"); status != 486 {
		t.Errorf("a call from node-a to the phone of node-b got %d", status)
	}
	desk.expects("INVITE", "m=audio")

	// A phone at node-b watches its user, who signs in on another phone at node-a: the change goes the other way.
	watching := desk.request("SUBSCRIBE", sip.Header{Name: "Event", Value: "reg"}, sip.Header{Name: "Expires", Value: "300"},
		sip.Header{Name: "Contact", Value: "<" + desk.contact() + ">"})
	if watching.Status != 200 {
		t.Fatalf("SUBSCRIBE got %d", watching.Status)
	}
	desk.expects("NOTIFY", desk.contact())
	far.register()
	desk.expects("NOTIFY", desk.contact(), far.contact())
	grace := newWatcher(t, "tcp", b.tcp, "1002", "grace")
	grace.register()
	a.awaitReach("1002", "at node node-b answered 200")

	b.end(syscall.SIGKILL)
	// Asking a phone of the dead node fails within a moment, and the user's other phone answers all the same.
	began = time.Now()
	if got := a.reach("1001"); !strings.Contains(got, far.contact()+" at node node-a answered 200") ||
		!strings.Contains(got, desk.contact()+" at node node-b did not answer") {
		t.Errorf("with node-b dead: %s", got)
	}
	t.Logf("with node-b dead, asking both phones took %v", time.Since(began).Round(time.Millisecond))
	select {
	case <-desk.conn.Done():
	case <-time.After(patience):
		t.Fatal("the phone's connection outlived its node")
	}
	again := newWatcher(t, "tcp", a.tcp, "1001", "desk")
	again.register()
	if got := a.reach("1001"); strings.Contains(got, "node-b") || strings.Count(got, "at node node-a answered 200") != 2 {
		t.Errorf("after the phone came to node-a: %s", got)
	}

	// The dead node returns. It knows who has moved, tells who was lost with it, and node-a hears that.
	b.start()
	eventually(t, "node-b reaches both phones of node-a", func() (bool, any) {
		got := b.reach("1001")
		return strings.Count(got, "at node node-a answered 200") == 2, got
	})
	a.awaitReach("1002", "no phone of 1002 is connected")
}
