package interop_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests. It is long because the machine may be busy, and never waited out.
const patience = 60 * time.Second

// quickly is the back-off of phones that are not to wait as long as people's.
const quickly = 200 * time.Millisecond

// program is a third-party program that a test runs.
type program struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	input  io.WriteCloser
	output lockedBuffer
	ended  chan struct{}
	err    error // valid once ended is closed
	stop   sync.Once
}

// start runs a program in dir, which is its HOME too, in a process group of its own. The test's end ends it.
func start(t *testing.T, dir, name string, args ...string) *program {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run test/setup/packages", name)
	}
	p := &program{t: t, name: name, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=dumb", "LC_ALL=C.UTF-8"}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 5 * time.Second
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.terminate()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.output.String())
		}
	})
	return p
}

// say types a line.
func (p *program) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, line+"\n"); err != nil {
		p.t.Fatalf("%s does not listen: %v; it said:\n%s", p.name, err, p.output.String())
	}
}

// wait returns how the program ended by itself.
func (p *program) wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		p.t.Fatalf("%s does not end; it said:\n%s", p.name, p.output.String())
		return errors.New("unreachable")
	}
}

// terminate ends the program: politely, so that it un-registers, then for good. Some survive SIGTERM for a while.
func (p *program) terminate() {
	p.stop.Do(func() {
		group := -p.cmd.Process.Pid
		_ = syscall.Kill(group, syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
		_ = syscall.Kill(group, syscall.SIGKILL) // and whatever it started
		<-p.ended
	})
}

// kill ends the program without giving it a chance to say goodbye.
func (p *program) kill() {
	p.stop.Do(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	})
}

// lockedBuffer keeps what a program writes, for the test to read meanwhile.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually polls until the condition holds. Where it does not, said tells what was seen last.
func eventually(t *testing.T, what string, is func() (ok bool, said any)) {
	t.Helper()
	var said any
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var ok bool
		if ok, said = is(); ok {
			return
		}
	}
	t.Fatalf("never: %s; last seen: %+v", what, said)
}

// write puts a file into a folder.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
