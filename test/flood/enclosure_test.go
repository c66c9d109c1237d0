package flood_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// enclosure is a limit of memory that the kernel holds a server to: a control group of its own, where this machine lets a
// test make one.
type enclosure struct {
	kind   string   // for the log
	prefix []string // of the command line
	peak   string   // file with the most that was used, when there is one
}

// enclose makes the enclosure that this machine allows. Without any the server has GOMEMLIMIT, and the test looks at what is
// resident.
func enclose(t *testing.T) enclosure {
	t.Helper()
	for _, try := range []func(*testing.T) (enclosure, error){groupV2, groupV1, scope} {
		if e, err := try(t); err == nil {
			t.Logf("the server is held to %d MB by %s", memory>>20, e.kind)
			return e
		}
	}
	t.Logf("no control group can be made here: the server is held to its memory by GOMEMLIMIT alone, and its resident set is measured")
	return enclosure{}
}

// groupV2 makes a group beside our own, or below it.
func groupV2(t *testing.T) (enclosure, error) {
	own, err := ownGroup("")
	if err != nil {
		return enclosure{}, err
	}
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		for _, parent := range []string{filepath.Dir(own), own} {
			dir := filepath.Join(root, parent, fmt.Sprintf("demarc-flood-%d", os.Getpid()))
			if e, err := group(t, dir, "memory.max", "memory.peak"); err == nil {
				e.kind = "a control group (v2)"
				return e, nil
			}
		}
	}
	return enclosure{}, os.ErrPermission
}

func groupV1(t *testing.T) (enclosure, error) {
	own, err := ownGroup("memory")
	if err != nil {
		return enclosure{}, err
	}
	dir := filepath.Join("/sys/fs/cgroup/memory", own, fmt.Sprintf("demarc-flood-%d", os.Getpid()))
	e, err := group(t, dir, "memory.limit_in_bytes", "memory.max_usage_in_bytes")
	e.kind = "a control group (v1)"
	return e, err
}

// ownGroup returns the path of this process's group under a controller.
func ownGroup(controller string) (string, error) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && parts[1] == controller {
			return parts[2], nil
		}
	}
	return "", fmt.Errorf("no group under %q: %w", controller, err)
}

// group makes a group with the limit; it goes with the test.
func group(t *testing.T, dir, limit, peak string) (enclosure, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return enclosure{}, err
	}
	// A folder of its own kind has these files already; elsewhere the limit cannot be written.
	if _, err := os.Stat(filepath.Join(dir, limit)); err != nil {
		return enclosure{}, errors.Join(err, os.Remove(dir))
	}
	t.Cleanup(func() { _ = os.Remove(dir) }) // by then the server has ended
	if err := os.WriteFile(filepath.Join(dir, limit), []byte(fmt.Sprint(memory)), 0o644); err != nil {
		return enclosure{}, err
	}
	return enclosure{
		prefix: []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs")},
		peak:   filepath.Join(dir, peak),
	}, nil
}

// scope lets systemd make the group.
func scope(t *testing.T) (enclosure, error) {
	for _, whose := range []string{"--system", "--user"} {
		prefix := []string{"systemd-run", whose, "--scope", "--quiet", fmt.Sprintf("--property=MemoryMax=%d", memory)}
		if err := exec.CommandContext(t.Context(), prefix[0], append(prefix[1:], "true")...).Run(); err == nil {
			return enclosure{kind: "a scope of systemd", prefix: prefix}, nil
		}
	}
	return enclosure{}, os.ErrPermission
}

// command is the program within the enclosure, with the process id that it is started with.
func (e enclosure) command(program string, args ...string) *exec.Cmd {
	line := append(append([]string{}, e.prefix...), append([]string{program}, args...)...)
	return exec.Command(line[0], line[1:]...)
}

// used says how much memory the kernel counted at most.
func (e enclosure) used() string {
	raw, err := os.ReadFile(e.peak)
	var n int
	if _, scanned := fmt.Sscan(string(bytes.TrimSpace(raw)), &n); err != nil || scanned != nil {
		return "not counted"
	}
	return fmt.Sprintf("%d MB", n>>20)
}
