package interop_test

import (
	"fmt"
	"strings"
	"testing"
)

// Scanners behind the same address as a good phone: they find no extension, crack no password in time, and the phone never
// notices.
func TestSIPVicious(t *testing.T) {
	s := newSystem(t)
	runSDK(t, s, "1001")
	s.await("1001", "is registered", is("registered"))
	target := fmt.Sprintf("udp://%s", s.sip("udp"))
	run := func(name string, args ...string) string {
		t.Helper()
		p := start(t, t.TempDir(), name, append(args, target)...)
		_ = p.wait() // how it ends says nothing: what it says counts
		said := p.output.String()
		if strings.Contains(said, "Traceback") {
			t.Errorf("%s broke:\n%s", name, said)
		}
		return said
	}
	host, port, _ := strings.Cut(s.sip("udp").String(), ":")
	mapper := start(t, t.TempDir(), "svmap", "-p", port, host)
	_ = mapper.wait()
	if said := mapper.output.String(); strings.Contains(strings.ToLower(said), "demarc") {
		t.Errorf("svmap learns what runs here:\n%s", said)
	}
	for _, method := range []string{"REGISTER", "INVITE", "OPTIONS"} {
		said := run("svwar", "-m", method, "-e", "1000-1003", "--domain", domain)
		found := func(extension string) bool { return strings.Contains(said, extension) }
		if found("1001") != found("1003") || found("1002") != found("1000") {
			t.Errorf("svwar by %s tells who is there:\n%s", method, said)
		}
	}
	crack := func(extension string, passwords ...string) string {
		t.Helper()
		dictionary := write(t, t.TempDir(), "passwords", strings.Join(passwords, "\n")+"\n")
		return run("svcrack", "-u", extension, "-d", dictionary, "--domain", domain, "--maximumtime=20")
	}
	// It can crack, when the password is the first that it tries.
	if said := crack("1002", gracePassword); !strings.Contains(said, gracePassword) {
		t.Errorf("svcrack does not work at all:\n%s", said)
	}
	many := append(make([]string, 0, 101), strings.Fields(strings.Repeat("wrong ", 100))...)
	if said := crack("1001", append(many, adaPassword)...); strings.Contains(said, adaPassword) {
		t.Errorf("svcrack found the password:\n%s", said)
	}
	if u := s.user("1001"); u.State != "registered" {
		t.Errorf("the good phone is %s: %s", u.State, u.Text)
	}
	// Another phone of somebody else, behind the same address, is not kept out.
	baresip(t, s.sip("tls"), s.caFile, "1002", domain, gracePassword)
	s.await("1002", "has its phone", func(u user) bool { return u.registered(agent("baresip")) })
}
