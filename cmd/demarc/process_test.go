package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"demarc/internal/config"
)

const (
	patience = 20 * time.Second
	oneUser  = "pbx: {domain: pbx.test}\nusers:\n" +
		"  - {extension: '1001', name: Ada, email: ada@pbx.test, password: canary-password}\n"
)

// process is a demarc serve of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	health string
	exited chan error
	stderr io.Closer // closed by a test whose reader goes away

	mu  sync.Mutex
	err bytes.Buffer
}

// serve starts a server in the directory and waits for what it says of itself.
func serve(t *testing.T, dir string) *process {
	t.Helper()
	listeners := "telephony:\n  listeners:\n    - {name: udp, transport: udp, address: '127.0.0.1:0'}\n"
	cfg := filepath.Join(dir, "demarc.yaml")
	if err := os.WriteFile(cfg, []byte(listeners), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, exited: make(chan error, 1)}
	p.cmd = exec.Command("demarc", "--config", cfg, "--data-dir", filepath.Join(dir, "data"), "serve",
		"--directory", filepath.Join(dir, "users.yaml"))
	p.cmd.Env = append(os.Environ(), "DEMARC_HTTP_LISTEN=127.0.0.1:0", "DEMARC_HTTP_METRICS=127.0.0.1:0",
		"DEMARC_CLOUDLINK_LISTEN=127.0.0.1:0")
	said, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.read(said)
		p.exited <- p.cmd.Wait()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has exited in a test that went well
	summary := regexp.MustCompile(`health and metrics (http://[^/]+)/metrics`)
	eventually(t, "the server says where it is", func() bool {
		if m := summary.FindStringSubmatch(p.said()); m != nil {
			p.health = m[1]
		}
		return p.health != ""
	}, p.said)
	return p
}

func (p *process) read(said io.Reader) {
	for lines := bufio.NewScanner(said); lines.Scan(); {
		p.mu.Lock()
		p.err.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
	}
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.String()
}

// end sends a signal and returns the exit code.
func (p *process) end(signal os.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			p.t.Fatal(err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("it does not end on %v: %s", signal, p.said())
		return 0
	}
}

func (p *process) ready() bool {
	reply, err := http.Get(p.health + "/readyz")
	if err != nil {
		return false
	}
	_ = reply.Body.Close()
	return reply.StatusCode == http.StatusOK
}

func (p *process) metrics() string {
	p.t.Helper()
	reply, err := http.Get(p.health + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	told, err := io.ReadAll(reply.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(told)
}

func eventually(t *testing.T, what string, is func() bool, said func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v: %s", what, patience, said())
		}
	}
}

// home is a short directory with a users file.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "demarc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	users(t, dir, oneUser)
	return dir
}

func users(t *testing.T, dir, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "users.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A server's life as an operator sees it: start, a second start by mistake, reload, a broken reload, a crash, a restart
// on what the crash left, and an end.
func TestServerLife(t *testing.T) {
	t.Parallel()
	dir := home(t)
	p := serve(t, dir)
	if !p.ready() {
		t.Error("it is not ready")
	}

	second := exec.Command("demarc", "--config", filepath.Join(dir, "demarc.yaml"),
		"--data-dir", filepath.Join(dir, "data"), "serve")
	out, err := second.CombinedOutput()
	if err == nil || second.ProcessState.ExitCode() != exitFailure ||
		!strings.Contains(string(out), "another demarc process holds") {
		t.Errorf("a second server on the same data: %v: %s", err, out)
	}
	if !p.ready() {
		t.Error("the second server broke the first")
	}

	hangUp := func() {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	users(t, dir, oneUser+"  - {extension: '1002', name: Grace, email: grace@pbx.test, password: canary-password}\n")
	hangUp()
	eventually(t, "the reload", func() bool { return strings.Contains(p.said(), "added=1 changed=0 removed=0 unchanged=1") }, p.said)
	users(t, dir, oneUser+"  - {extension: [}\n")
	hangUp()
	eventually(t, "the broken reload is told", func() bool {
		return strings.Contains(p.said(), "reload failed") && strings.Contains(p.said(), "users.yaml:4:")
	}, p.said)
	told := p.metrics()
	for _, counted := range []string{"half_open 0", `udp_remotes{listener="udp"} 0`, "keepalives_total 0", "replies_dropped_total 0"} {
		if !strings.Contains(told, "_"+counted+"\n") {
			t.Errorf("the metrics do not say %s", counted)
		}
	}
	if !strings.Contains(told, `demarc_background_failures_total{work="reload of the users file"} 1`) {
		t.Errorf("the broken reload is not counted once: %s", p.said())
	}
	users(t, dir, oneUser)

	p.end(syscall.SIGKILL)
	p = serve(t, dir)
	if !p.ready() {
		t.Error("it is not ready after a crash")
	}
	if code := p.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("SIGTERM: exit code %d: %s", code, p.said())
	}
	if strings.Contains(p.said(), "canary") || strings.Contains(p.said(), "level=ERROR") {
		t.Errorf("it said: %s", p.said())
	}
}

// The end of whoever reads the log is not the end of everybody's calls.
func TestServerOutlivesItsReader(t *testing.T) {
	t.Parallel()
	dir := home(t)
	p := serve(t, dir)
	_ = p.stderr.Close()
	for range 3 { // each is a line of the log
		out, err := exec.Command("demarc", "--data-dir", filepath.Join(dir, "data"), "users").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if code := p.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// The whole demo, on a machine where all the well-known ports are taken.
func TestDemoFindsOtherPorts(t *testing.T) {
	t.Parallel()
	c := config.Default()
	taken := []string{c.HTTP.Listen, c.HTTP.Metrics, c.CloudLink.Listen}
	for _, l := range c.Telephony.Listeners {
		taken = append(taken, l.Address)
	}
	for _, address := range taken {
		if l, err := net.Listen("tcp", address); err == nil { // else somebody else has it, which serves as well
			defer l.Close()
		}
		if l, err := net.ListenPacket("udp", address); err == nil {
			defer l.Close()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "demarc", "demo", "--once").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"1001", "registered", "sip_error", "401", "does not match the PBX", "Portal"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not show %q: %s", want, out)
		}
	}
	for _, address := range taken[:3] {
		if _, port, _ := net.SplitHostPort(address); strings.Contains(string(out), "localhost:"+port) {
			t.Errorf("the demo uses the taken port %s: %s", port, out)
		}
	}
}

// A SIGHUP that comes while the server starts does not end it, as the system's own answer to it would.
func TestReloadDuringTheStart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // where a database should be
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cmd := exec.Command("demarc", "--data-dir", t.TempDir(), "serve")
	cmd.Env = append(os.Environ(), "DEMARC_STORE_URL=postgres://demarc@"+silent.Addr().String()+"/demarc?sslmode=disable")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has exited in a test that went well
	waits, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // signals of different numbers have no order of their own
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailure {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
}
