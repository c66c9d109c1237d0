package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Profiles of a running server, as Go's own tool reads them.
func TestProfiles(t *testing.T) {
	t.Parallel()
	dir := home(t)
	p := serve(t, dir)
	profile := func(args ...string) (string, error) {
		args = append([]string{"--data-dir", filepath.Join(dir, "data"), "profile"}, args...)
		out, err := exec.Command("demarc", args...).CombinedOutput()
		return string(out), err
	}
	for kind, want := range map[string]string{"cpu": "cpu", "heap": "inuse_space", "goroutines": "goroutine"} {
		file := filepath.Join(dir, kind)
		if out, err := profile(kind, "--seconds", "1", "--output", file); err != nil || !strings.Contains(out, "go tool pprof "+file) {
			t.Errorf("%s: %v: %s", kind, err, out)
			continue
		}
		read, err := exec.Command("go", "tool", "pprof", "-raw", file).CombinedOutput()
		if err != nil || !strings.Contains(string(read), want) {
			t.Errorf("%s is read as %v: %.300s", kind, err, read)
		}
	}
	if out, err := profile("cpu", "--seconds", "100000"); err == nil || !strings.Contains(out, "1 to 300") {
		t.Errorf("too long a profile: %v: %s", err, out)
	}
	if _, err := profile("everything"); err == nil {
		t.Error("there is a profile of everything")
	}
	if code := p.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d: %s", code, p.said())
	}
}
