package interop_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// The command is the SDK for scripts: a link on standard input, one JSON object a line, exit codes that tell why.
func TestPhoneCommand(t *testing.T) {
	dir, demarc := t.TempDir(), installed(t)
	s := newSystem(t)
	profile := "--profile=" + filepath.Join(dir, "phone.json")

	enrol := start(t, dir, demarc, "phone", "enrol", profile, "--name=Script", "-")
	enrol.say(s.enrolmentLink("1001"))
	if err := enrol.wait(); err != nil || !strings.Contains(enrol.output.String(), "Ada Lovelace, extension 1001") {
		t.Fatalf("enrol: %v\n%s", err, enrol.output.String())
	}
	phone := start(t, dir, demarc, "phone", "run", profile, "--json")
	s.await("1001", "is registered", is("registered"))
	phone.terminate()
	if code := phone.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("interrupted, run exits with %d", code)
	}
	if got := states(t, phone); got != "starting connecting registered stopped" {
		t.Errorf("states: %s", got)
	}
	s.await("1001", "is inactive", is("inactive"))

	once := func() (int, string) {
		p := start(t, dir, demarc, "phone", "run", profile, "--once")
		_ = p.wait() // the exit code tells
		return p.cmd.ProcessState.ExitCode(), p.output.String()
	}
	// The registrar notices a change of its directory within a quarter of a second, hence the polling.
	s.rotate("1001")
	eventually(t, "exit code 5 with the old credential", func() (bool, any) {
		code, said := once()
		return code == 5 && strings.Contains(said, "sync this user"), said
	})
	s.sync()
	eventually(t, "exit code 0 after the sync", func() (bool, any) {
		code, said := once()
		return code == 0, said
	})
}

// states returns the states that a run printed, in order.
func states(t *testing.T, p *program) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(p.output.String()) {
		var status struct{ State string }
		if err := json.Unmarshal([]byte(line), &status); err != nil {
			t.Errorf("%q is no JSON object: %v", line, err)
		}
		all = append(all, status.State)
	}
	return strings.Join(all, " ")
}
