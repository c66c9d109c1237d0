package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakePhoneServer answers the client API with one credential, or with a status.
type fakePhoneServer struct {
	*httptest.Server
	mu         sync.Mutex // held for the rest where another process asks
	status     int        // of every answer, when not 0
	detail     string
	credential string
}

func newPhoneServer(t *testing.T) *fakePhoneServer {
	t.Helper()
	s := &fakePhoneServer{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.status != 0:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(s.status)
			fmt.Fprintf(w, `{"detail":%q}`, s.detail)
		case r.URL.Path == "/v1/enrolments":
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"deviceId":"dev_1","token":"canary-token","instance":"urn:uuid:1","kind":"mobile",
				"user":{"name":"Ada","extension":"1001"}}`)
		case r.Method == http.MethodGet:
			io.WriteString(w, s.credential)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *fakePhoneServer) caFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answerSIP serves TCP and gives every request the status; it returns the port.
func answerSIP(t *testing.T, status string) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go answerConnection(c, status)
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

func answerConnection(c net.Conn, status string) {
	defer c.Close()
	in := bufio.NewScanner(c)
	reply := "SIP/2.0 " + status + "\r\n"
	for in.Scan() {
		line := in.Text()
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "Via", "From", "To", "Call-ID", "CSeq":
			reply += line + "\r\n"
		case "":
			io.WriteString(c, reply+"Content-Length: 0\r\n\r\n")
			reply = "SIP/2.0 " + status + "\r\n"
		}
	}
}

func phone(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = run(append([]string{"phone"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestPhoneExitCodes(t *testing.T) {
	s := newPhoneServer(t)
	ca := s.caFile(t)
	profile := filepath.Join(t.TempDir(), "phone.json")
	enrol := []string{"enrol", "--profile", profile, "--server", s.URL, "--ca", ca, "ABCD"}
	register := []string{"run", "--profile", profile, "--once", "--json"}
	sip := func(status string) string {
		return fmt.Sprintf(`{"username":"1001","realm":"pbx.test","kind":"mobile","digests":[{"algorithm":"MD5","ha1":"x"}],
			"registrars":[{"role":"sbc","host":"127.0.0.1","port":%d,"transport":"tcp"}]}`, answerSIP(t, status))
	}
	accepted, forbidden := sip("200 OK"), sip("403 Forbidden")
	for _, step := range []struct {
		name       string
		status     int
		credential string
		args       []string
		code       int
		says       string
	}{
		{"no profile yet", 0, "", register, 2, "enrol this device first"},
		{"a bare code", 0, "", []string{"enrol", "ABCD", "--profile", profile}, 2, "--server"},
		{"no link", 0, "", []string{"enrol", "demarc://", "--profile", profile}, 2, "link is not valid"},
		{"unknown flag", 0, "", []string{"run", "--twice"}, 2, "--twice"},
		{"foreign CA", 0, "", []string{"enrol", "--profile", profile, "--server", s.URL, "ABCD"}, 6, "does not trust"},
		{"code refused", 404, "", enrol, 3, "told so"},
		{"server down", 503, "", enrol, 6, "told so"},
		{"enrols", 0, "", enrol, 0, "Enrolled as a mobile device of Ada, extension 1001"},
		{"pending", 409, "", register, 4, "told so"},
		{"refused", 0, forbidden, register, 5, "403 Forbidden"},
		{"registers", 0, accepted, register, 0, `"state":"registered"`},
		{"revoked", 401, "", register, 3, "no longer enrolled"},
		{"un-enrols", 0, "", []string{"unenrol", "--profile", profile}, 0, "no longer enrolled"},
		{"un-enrolled", 0, "", register, 2, "enrol this device first"},
	} {
		s.status, s.detail, s.credential = step.status, "told so", step.credential
		code, out, errs := phone(step.args...)
		if code != step.code || !strings.Contains(out+errs, step.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", step.name, code, step.code, step.says, out, errs)
		}
		if strings.Contains(out+errs, "canary-token") {
			t.Errorf("%s shows the token: %s%s", step.name, out, errs)
		}
	}
}

func TestPhoneJSONIsOneObjectALine(t *testing.T) {
	s := newPhoneServer(t)
	profile := filepath.Join(t.TempDir(), "phone.json")
	if code, out, errs := phone("enrol", "--profile", profile, "--server", s.URL, "--ca", s.caFile(t), "ABCD"); code != 0 {
		t.Fatal(out, errs)
	}
	s.credential = fmt.Sprintf(`{"username":"1001","realm":"pbx.test","digests":[{"algorithm":"MD5","ha1":"x"}],
		"registrars":[{"role":"sbc","host":"127.0.0.1","port":%d,"transport":"tcp"}]}`, answerSIP(t, "200 OK"))
	_, out, _ := phone("run", "--profile", profile, "--once", "--json")
	var states []string
	for line := range strings.Lines(out) {
		var status struct{ State, Time string }
		if err := json.Unmarshal([]byte(line), &status); err != nil || status.Time == "" {
			t.Errorf("%q: %v", line, err)
		}
		states = append(states, status.State)
	}
	if got := strings.Join(states, " "); got != "starting connecting registered stopped" {
		t.Errorf("states: %s", got)
	}
	_, out, _ = phone("run", "--profile", profile, "--once")
	if !strings.Contains(out, "registered  sbc 127.0.0.1:") || strings.Contains(out, "{") {
		t.Errorf("text form: %s", out)
	}
}

// A phone whose reader has gone stays a phone, and a second one with its profile is refused.
func TestPhoneOutlivesItsReader(t *testing.T) {
	s := newPhoneServer(t)
	profile := filepath.Join(t.TempDir(), "phone.json")
	if code, out, errs := phone("enrol", "--profile", profile, "--server", s.URL, "--ca", s.caFile(t), "ABCD"); code != 0 {
		t.Fatal(out, errs)
	}
	s.mu.Lock()
	s.credential = fmt.Sprintf(`{"username":"1001","realm":"pbx.test","digests":[{"algorithm":"MD5","ha1":"x"}],
		"registrars":[{"role":"sbc","host":"127.0.0.1","port":%d,"transport":"tcp"}]}`, answerSIP(t, "200 OK"))
	s.mu.Unlock()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	defer write.Close()
	cmd := exec.Command("demarc", "phone", "run", "--profile", profile, "--once", "--json")
	cmd.Stdout = write
	if err := cmd.Run(); err != nil {
		t.Errorf("without a reader: %v", err)
	}
	free, err := onlyRun(profile)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := phone("run", "--profile", profile, "--once"); code != exitUsage || !strings.Contains(errs, "another demarc phone run") {
		t.Errorf("a second phone: %d %s", code, errs)
	}
	free()
	if code, _, errs := phone("run", "--profile", profile, "--once"); code != exitOK {
		t.Errorf("when the first has ended: %d %s", code, errs)
	}
}
