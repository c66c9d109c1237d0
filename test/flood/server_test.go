package flood_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/sip"
	"demarc/test/shipped"
)

const (
	domain    = "pbx.test"
	phones    = 50
	firstUser = 100_000
	memory    = 512 << 20
	patience  = 30 * time.Second
	admission = 1000 // requests a second, under attack
)

// server is demarc in a process of its own.
type server struct {
	t                 *testing.T
	program, dir      string
	cmd               *exec.Cmd
	setting           setting
	within            enclosure
	output            *bytes.Buffer
	udp, tls, metrics string
	tcp, trustedUDP   string // where calls are tested
	roots             *x509.CertPool
}

// setting says how a server is set up: how many users its directory has, how many requests a second are looked into, and
// whether it is held to its memory.
type setting struct {
	users, admission int
	enclosed         bool
	calls            bool // phones call over what they registered with, as many times at once as they like
}

// attacked is the setting for floods.
func attacked() setting { return setting{users: phones + 1, admission: admission, enclosed: true} }

func startServer(t *testing.T, set setting) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "demarc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := shipped.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir, setting: set, program: program, udp: free(t, "udp"), tls: free(t, "tcp"), metrics: free(t, "tcp"),
		roots: x509.NewCertPool()}
	var file strings.Builder
	file.WriteString("extension,name,email,password\n")
	for i := range set.users {
		fmt.Fprintf(&file, "%d,Phone %d,p%d@pbx.test,%s\n", firstUser+i, i, i, password(i))
	}
	put(t, filepath.Join(dir, "users.csv"), file.String())
	put(t, filepath.Join(dir, "demarc.yaml"), fmt.Sprintf(`roles: [telephony]
data_dir: %[1]s/data
account: {domain: %[6]s}
http: {metrics: "%[4]s"}
log: {level: warn}
telephony:
  directory: %[1]s/users.csv
  limits: {admission: %[5]d}
  listeners:
  - {name: udp, transport: udp, address: "%[2]s"}
  - {name: tls, transport: tls, address: "%[3]s"}
%[7]s`, dir, s.udp, s.tls, s.metrics, set.admission, domain, s.forCalls()))
	if set.enclosed {
		s.within = enclose(t)
	}
	s.start()
	t.Cleanup(func() {
		s.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the server said:\n%s", s.output)
		}
	})
	ca, err := os.ReadFile(filepath.Join(dir, "data/pki/ca.pem"))
	if err != nil || !s.roots.AppendCertsFromPEM(ca) {
		t.Fatalf("no CA: %v", err)
	}
	return s
}

// forCalls is the part of the configuration that the tests of calls need.
func (s *server) forCalls() string {
	if !s.setting.calls {
		return ""
	}
	s.tcp, s.trustedUDP = free(s.t, "tcp"), free(s.t, "udp")
	return fmt.Sprintf(`  - {name: tcp, transport: tcp, address: "%s", call_authentication: registered}
  - {name: trusted, transport: udp, address: "%s", call_authentication: registered}
  calls: {user_limit: 10000, account_limit: 10000}
`, s.tcp, s.trustedUDP)
}

// start starts the process, and returns when it is ready.
func (s *server) start() {
	s.t.Helper()
	s.output = &bytes.Buffer{}
	s.cmd = s.within.command(s.program, "serve", "--config", filepath.Join(s.dir, "demarc.yaml"))
	if s.setting.enclosed {
		s.cmd.Env = append(os.Environ(), "GOMEMLIMIT=400MiB")
	}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the server is ready", func() bool {
		reply, err := http.Get("http://" + s.metrics + "/readyz")
		if err != nil {
			return false
		}
		_ = reply.Body.Close()
		return reply.StatusCode == http.StatusOK
	})
}

// end ends the process by a signal, and returns when it is gone.
func (s *server) end(by syscall.Signal) {
	s.t.Helper()
	if s.cmd.ProcessState != nil { // it has ended, and was not started again
		return
	}
	_ = s.cmd.Process.Signal(by)
	if err := s.cmd.Wait(); err != nil && by != syscall.SIGKILL {
		s.t.Errorf("the server ended with %v", err)
	}
}

// metric adds up what the server's metrics tell under a name, of the series that have all the labels.
func (s *server) metric(name string, labels ...string) (sum float64) {
	s.t.Helper()
	reply, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if found, _, _ := strings.Cut(series, "{"); found != name ||
			slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(series, l) }) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			s.t.Fatalf("%s: %v", lines.Text(), err)
		}
		sum += n
	}
	return sum
}

// resident returns the process's resident memory in bytes.
func (s *server) resident() int {
	s.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	var size, resident int
	if err == nil {
		_, err = fmt.Sscan(string(raw), &size, &resident)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// watchMemory returns the most that was resident in each third of a time, until the context ends.
func (s *server) watchMemory(ctx context.Context, lasts time.Duration) (thirds [3]int) {
	s.t.Helper()
	for began := time.Now(); ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		third := min(2, int(3*time.Since(began)/lasts))
		thirds[third] = max(thirds[third], s.resident())
	}
	return thirds
}

// phone is one device: a flow of its own, and an instance that nobody else knows.
type phone struct {
	conn   *sip.Conn
	number int
	callID string
	cseq   int
}

// phone connects one from an address of loopback.
func (s *server) phone(number int, transport telephony.Transport, from string) (*phone, error) {
	var nc net.Conn
	var err error
	if transport == telephony.UDP {
		nc, err = (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).Dial("udp", s.udp)
	} else {
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		nc, err = tls.DialWithDialer(d, "tcp", s.tls, &tls.Config{RootCAs: s.roots, ServerName: "localhost"})
	}
	if err != nil {
		return nil, err
	}
	c := sip.NewConn(nc, sip.Config{Transport: transport})
	s.t.Cleanup(func() { _ = c.Close() })
	return &phone{conn: c, number: number, callID: sip.NewToken()}, nil
}

func user(number int) string { return strconv.Itoa(firstUser + number) }

func password(number int) string { return fmt.Sprintf("secret-%d", number) }

// register asks, answers the challenge, and reports whether it is registered within the time of the context.
func (p *phone) register(ctx context.Context) error {
	user := user(p.number)
	aor := "<sip:" + user + "@" + domain + ">"
	var authorize string
	for range 2 {
		p.cseq++
		headers := []sip.Header{
			{Name: "From", Value: aor + ";tag=" + p.callID}, {Name: "To", Value: aor}, {Name: "Call-ID", Value: p.callID},
			{Name: "CSeq", Value: fmt.Sprintf("%d REGISTER", p.cseq)}, {Name: "Expires", Value: "300"},
			{Name: "Contact", Value: fmt.Sprintf(`<sip:%s@%s>;+sip.instance="<urn:uuid:%08d-0000-4000-8000-000000000000>"`,
				user, p.conn.LocalAddr(), p.number)},
		}
		if authorize != "" {
			headers = append(headers, sip.Header{Name: "Authorization", Value: authorize})
		}
		r, err := p.conn.Do(ctx, sip.Request{Method: "REGISTER", URI: "sip:" + domain, Headers: headers})
		switch {
		case err != nil:
			return err
		case r.Status == 200:
			return nil
		case r.Status != 401 || authorize != "":
			return fmt.Errorf("status %d", r.Status)
		}
		authorize = answer(user, password(p.number), r.Header("WWW-Authenticate"))
	}
	return nil
}

// answer computes an answer to a challenge (RFC 7616 §3.4.1, MD5, qop auth).
func answer(user, secret, challenge string) string {
	_, nonce, _ := strings.Cut(challenge, `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	sum := func(s string) string {
		h := md5.Sum([]byte(s))
		return hex.EncodeToString(h[:])
	}
	const cnonce, nc = "c", "00000001"
	response := sum(sum(user+":"+domain+":"+secret) + ":" + nonce + ":" + nc + ":" + cnonce + ":auth:" + sum("REGISTER:sip:"+domain))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="sip:%s", response="%s", algorithm=%s, qop=auth, `+
		`cnonce="%s", nc=%s`, user, domain, nonce, domain, response, digest.MD5, cnonce, nc)
}

func free(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}
