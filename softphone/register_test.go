package softphone_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"demarc/softphone"
)

// site is a server, a registrar and the authority of both.
type site struct {
	ca *authority
	*server
	*registrar
}

func newSite(t *testing.T) *site {
	t.Helper()
	ca := newAuthority(t)
	x := &site{ca: ca, server: newServer(t, ca)}
	x.registrar = newRegistrar(t, ca.server(t, "localhost", time.Now().Add(time.Hour)))
	x.hand(credentialFor(ca, place("sbc", "localhost", x.port(), "tls")))
	return x
}

func (x *site) hand(credential map[string]any) {
	x.server.set(func(s *server) { s.credential = credential })
}

func TestRegisters(t *testing.T) {
	x := newSite(t)
	phone := run(t, x.server)
	got := phone.untilState(softphone.Registered)
	if got.Transport != "tls" || got.Route != "sbc" || time.Until(got.Expires) < 590*time.Second {
		t.Errorf("status %+v", got)
	}
	eventually(t, "a report", func() bool {
		return x.reported(func(m map[string]any) bool { return m["outcome"] == "registered" && m["expires"] == 600.0 })
	})
	if err := phone.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if last := phone.phone.Status(); last.State != softphone.Stopped {
		t.Errorf("ended as %+v", last)
	}
	if !x.reported(func(m map[string]any) bool { return m["outcome"] == "stopped" }) {
		t.Error("the server was not told that the phone stopped")
	}
	all := x.seen()
	if len(all) != 3 {
		t.Fatalf("%d requests, want ask, answer, un-register: %v", len(all), all)
	}
	second, last := all[1], all[2]
	contact := second.header("Contact")
	if !strings.Contains(contact, `+sip.instance="<urn:uuid:9c11fcd5-d8cc-4f71-b0d3-cd88b6b31cbb>"`) ||
		!strings.Contains(contact, ";reg-id=1") || !strings.HasPrefix(contact, "<sip:1001@127.0.0.1:") {
		t.Errorf("Contact: %s", contact)
	}
	if second.start != "REGISTER sip:pbx.test SIP/2.0" || second.header("Supported") != "outbound, path" {
		t.Errorf("%s / %s", second.start, second.header("Supported"))
	}
	if !strings.Contains(second.header("Via"), "SIP/2.0/TLS ") || second.header("Expires") != "300" {
		t.Errorf("%+v", second.headers)
	}
	if last.header("Expires") != "0" || last.header("Contact") != contact ||
		!strings.Contains(last.header("Authorization"), "nc=00000002") {
		t.Errorf("un-register: %+v", last.headers)
	}
	if first := all[0]; first.header("Call-ID") != last.header("Call-ID") || last.header("CSeq") != "3 REGISTER" {
		t.Errorf("Call-ID or CSeq do not go on: %+v", last.headers)
	}
}

func TestRefreshes(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) { r.granted = 1 })
	run(t, x.server)
	eventually(t, "three refreshes", func() bool { return len(x.seen()) >= 5 })
	for i, req := range x.seen()[1:] {
		if !strings.Contains(req.header("Authorization"), fmt.Sprintf("nc=%08x", i+1)) {
			t.Errorf("request %d: %s", i, req.header("Authorization"))
		}
	}
}

func TestTransports(t *testing.T) {
	ca := newAuthority(t)
	s := newServer(t, ca)
	r := newRegistrar(t, nil)
	s.set(func(s *server) { s.credential = credentialFor(ca, place("sbc", "127.0.0.1", r.port(), "tcp")) })
	run(t, s).untilState(softphone.Registered)
	if via := r.seen()[0].header("Via"); !strings.HasPrefix(via, "SIP/2.0/TCP") {
		t.Errorf("Via: %s", via)
	}
}

func TestKeepsAlive(t *testing.T) {
	x := newSite(t)
	credential := credentialFor(x.ca, place("sbc", "localhost", x.port(), "tls"))
	credential["keepalive"] = 1
	x.hand(credential)
	run(t, x.server).untilState(softphone.Registered)
	eventually(t, "two keep-alives", func() (enough bool) {
		x.registrar.set(func(r *registrar) { enough = r.keepalive >= 2 })
		return enough
	})
}

func TestReconnects(t *testing.T) {
	x := newSite(t)
	phone := run(t, x.server)
	phone.untilState(softphone.Registered)
	x.cut()
	phone.until("connecting after the cut", func(s softphone.Status) bool {
		return s.State == softphone.Connecting && strings.Contains(s.Text, "broke")
	})
	eventually(t, "a second registration", func() bool { return len(x.seen()) >= 4 })
	eventually(t, "registered again", func() bool { return phone.phone.Status().State == softphone.Registered })
	x.server.set(func(s *server) {
		if s.fetches != 1 || s.unchanged == 0 {
			t.Errorf("fetched %d times, unchanged %d times: the credential should be kept", s.fetches, s.unchanged)
		}
	})
}

func TestRotatedCredential(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) { r.granted = 1 })
	phone := run(t, x.server)
	phone.untilState(softphone.Registered)
	rotated := credentialFor(x.ca, place("sbc", "localhost", x.port(), "tls"))
	rotated["digests"] = []map[string]string{{"algorithm": "MD5", "ha1": md5HA1("1001", "pbx.test", "new")}}
	x.hand(rotated)
	x.registrar.set(func(r *registrar) { r.ha1 = map[string]string{"MD5": md5HA1("1001", "pbx.test", "new")} })
	before := len(x.seen())
	eventually(t, "registered with the new credential", func() bool {
		all := x.seen()[before:]
		return len(all) > 3 && phone.phone.Status().State == softphone.Registered
	})
	for _, s := range phone.statuses() {
		if s.State == softphone.Failed {
			t.Errorf("failed meanwhile: %+v", s)
		}
	}
}

func TestWrongHA1(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) { r.ha1 = map[string]string{"MD5": md5HA1("1001", "pbx.test", "other")} })
	phone := run(t, x.server)
	failed := phone.untilState(softphone.Failed)
	if failed.Code != 401 || failed.Cause != softphone.CauseSIP || !strings.Contains(failed.Text, "sync this user") {
		t.Errorf("status %+v", failed)
	}
	eventually(t, "a report", func() bool {
		return x.reported(func(m map[string]any) bool {
			return m["outcome"] == "failed" && m["code"] == 401.0 && m["cause"] == "sip"
		})
	})
	x.registrar.set(func(r *registrar) { r.ha1 = map[string]string{"MD5": md5HA1("1001", "pbx.test", "right")} })
	phone.untilState(softphone.Registered)
}

func TestStrongestAlgorithm(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) { r.ha1["SHA-256"] = sha256HA1("1001", "pbx.test", "right") })
	run(t, x.server).untilState(softphone.Registered)
	if a := x.seen()[1].header("Authorization"); !strings.Contains(a, "algorithm=SHA-256") {
		t.Errorf("Authorization: %s", a)
	}
}

// A proxy in between that knows no outbound costs the phone its own flows, not its registration (RFC 5626 §4.2.1).
func TestRegistersWithoutOutboundBehindAnOldProxy(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) {
		r.answer = func(req sipRequest) string {
			if strings.Contains(req.header("Supported"), "outbound") {
				return "439 First Hop Lacks Outbound Support"
			}
			return r.judge(req)
		}
	})
	run(t, x.server).untilState(softphone.Registered)
	all := x.seen()
	last := all[len(all)-1]
	if contact := last.header("Contact"); len(all) != 3 || strings.Contains(contact, "reg-id") ||
		!strings.Contains(contact, "+sip.instance=") || last.header("Supported") != "path" {
		t.Errorf("%d requests, the last with %q and %q", len(all), contact, last.header("Supported"))
	}
}

// A hostile or misconfigured peer that asks in another realm, or for what we have no hash for, gets no digest at all.
func TestForeignChallengeGetsNothing(t *testing.T) {
	const none = "offers no digest algorithm"
	for name, c := range map[string]struct{ challenge, want string }{
		"other realm": {`Digest realm="evil.test", nonce="n", algorithm=MD5, qop="auth"`, `realm "evil.test"`},
		"algorithm":   {`Digest realm="pbx.test", nonce="n", algorithm=SHA-512-256, qop="auth"`, none},
		"Basic":       {`Basic realm="pbx.test"`, none},
	} {
		t.Run(name, func(t *testing.T) {
			for code, header := range map[string]string{"401 Unauthorized": "WWW", "407 Asks": "Proxy"} {
				x := newSite(t)
				x.registrar.set(func(r *registrar) {
					r.answer = func(sipRequest) string { return code + "\r\n" + header + "-Authenticate: " + c.challenge }
				})
				phone := run(t, x.server)
				if failed := phone.untilState(softphone.Failed); !strings.Contains(failed.Text, c.want) {
					t.Errorf("text %q", failed.Text)
				}
				for _, req := range x.seen() {
					if req.header("Authorization")+req.header("Proxy-Authorization") != "" {
						t.Errorf("answered: %+v", req.headers)
					}
				}
			}
		})
	}
}

func TestStaleNonceOnce(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) {
		r.answer = func(req sipRequest) string {
			switch req.n {
			case 1:
				return r.challenge("old", "")
			case 2:
				return r.challenge("new", ", stale=true")
			case 3:
				return r.ok(req)
			}
			return r.challenge("again", ", stale=true")
		}
	})
	phone := run(t, x.server)
	phone.untilState(softphone.Registered)
	x.cut() // from now on every nonce is stale: that must not become a loop
	phone.until("refused", func(s softphone.Status) bool { return s.State == softphone.Failed && s.Code == 401 })
	if n := len(x.seen()); n > 12 {
		t.Errorf("%d requests", n)
	}
}

func TestIntervalTooBrief(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) {
		r.answer = func(req sipRequest) string {
			if e := req.header("Expires"); req.header("Authorization") != "" && e != "900" && e != "0" {
				return "423 Interval Too Brief\r\nMin-Expires: 900"
			}
			return ""
		}
	})
	phone := run(t, x.server)
	phone.untilState(softphone.Registered)
	if all := x.seen(); len(all) != 3 || all[2].header("Expires") != "900" {
		t.Errorf("requests: %+v", all)
	}
	endless := newSite(t)
	endless.registrar.set(func(r *registrar) {
		r.answer = func(req sipRequest) string {
			return fmt.Sprintf("423 Interval Too Brief\r\nMin-Expires: 9%s", req.header("Expires"))
		}
	})
	if failed := run(t, endless.server).untilState(softphone.Failed); failed.Code != 423 {
		t.Errorf("status %+v", failed)
	}
}

// A registrar that asks for keep-alives within a second gets them (RFC 5626 §4.4.1), whatever the credential says.
func TestFlowTimerIsFollowed(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) {
		r.answer = func(req sipRequest) string {
			if req.header("Authorization") == "" {
				return ""
			}
			return r.ok(req) + "\r\nFlow-Timer: 1"
		}
	})
	run(t, x.server).untilState(softphone.Registered)
	eventually(t, "keep-alives", func() bool {
		x.registrar.mu.Lock()
		defer x.registrar.mu.Unlock()
		return x.registrar.keepalive >= 2
	})
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		code   int
		want   string
	}{
		"403 with Warning": {"403 Forbidden\r\nWarning: 399 osv \"licence exceeded\"", 403, "licence exceeded"},
		"endless Warning":  {"403 Forbidden\r\nWarning: 399 x \"" + strings.Repeat("ü\x1b", 900) + `"`, 403, "ü ü"},
		"404":              {"404 Not Found", 404, "no such extension"},
		"503":              {"503 Service Unavailable\r\nRetry-After: 1", 503, "tries again by itself"},
		"kept nothing":     {"200 OK\r\nContact: <sip:somebody@else>;expires=60", 200, "did not keep"},
		"redirect":         {"302 Moved\r\nContact: <sip:evil.test>", 302, "302 Moved"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newSite(t)
			x.registrar.set(func(r *registrar) { r.answer = func(sipRequest) string { return c.answer } })
			failed := run(t, x.server).untilState(softphone.Failed)
			if failed.Code != c.code || failed.Cause != softphone.CauseSIP || !strings.Contains(failed.Text, c.want) {
				t.Errorf("status %+v", failed)
			}
			eventually(t, "a report", func() bool {
				return x.reported(func(m map[string]any) bool {
					text, _ := m["text"].(string)
					return m["code"] == float64(c.code) && len(text) <= 512 && !strings.Contains(text, "\x1b")
				})
			})
			if strings.HasPrefix(name, "503") && time.Until(failed.Retry) < 500*time.Millisecond {
				t.Errorf("Retry-After not honoured: %s", time.Until(failed.Retry))
			}
		})
	}
}

func TestBelowSIP(t *testing.T) {
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closedPort := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts by its backlog and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	at := func(config *tls.Config) int { return newRegistrar(t, config).port() }
	for name, c := range map[string]struct {
		port int
		host string
		want softphone.Cause
	}{
		"untrusted":  {at(newAuthority(t).server(t, "localhost", hour)), "localhost", softphone.CauseTLSUntrusted},
		"wrong name": {at(ca.server(t, "other.test", hour)), "localhost", softphone.CauseTLSName},
		"expired":    {at(ca.server(t, "localhost", time.Now().Add(-time.Minute))), "localhost", softphone.CauseTLSExpired},
		"refused":    {closedPort, "localhost", softphone.CauseRefused},
		"silent":     {silent.Addr().(*net.TCPAddr).Port, "localhost", softphone.CauseTimeout},
		"no name":    {closedPort, "no-such-name.invalid", softphone.CauseDNS},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, ca)
			s.set(func(s *server) { s.credential = credentialFor(ca, place("sbc", c.host, c.port, "tls")) })
			phone := run(t, s, func(cfg *softphone.Config) { cfg.Retry.Answer = 700 * time.Millisecond })
			failed := phone.untilState(softphone.Failed)
			if failed.Cause != c.want || failed.Code != 0 || failed.Text == "" {
				t.Errorf("status %+v", failed)
			}
			eventually(t, "a report", func() bool {
				return s.reported(func(m map[string]any) bool { return m["outcome"] == "failed" && m["cause"] == string(c.want) })
			})
		})
	}
}

// A registrar that tells nobody: the server knows of the registration what the phone says, again with each refresh.
func TestReportsRefreshes(t *testing.T) {
	x := newSite(t)
	x.registrar.set(func(r *registrar) { r.granted = 1 })
	phone := run(t, x.server)
	phone.untilState(softphone.Registered)
	told := func(want string) (n int) {
		x.server.set(func(s *server) {
			for _, m := range s.reports {
				if m["outcome"] == want && (want == "stopped" || m["expires"] == 1.0) {
					n++
				}
			}
		})
		return n
	}
	eventually(t, "three reports of one registration", func() bool { return told("registered") >= 3 })
	if err := phone.stop(); err != nil {
		t.Fatal(err)
	}
	if told("stopped") != 1 {
		t.Errorf("%d farewells", told("stopped"))
	}
}

// A report that waited for the server says how old it is.
func TestLateReportSaysItsAge(t *testing.T) {
	x := newSite(t)
	phone := run(t, x.server)
	phone.untilState(softphone.Registered)
	x.server.set(func(s *server) { s.broken, s.reports = 500, nil })
	x.cut()
	eventually(t, "registered again", func() bool { return len(x.seen()) >= 4 })
	time.Sleep(50 * time.Millisecond) // the age that is asserted below
	x.server.set(func(s *server) { s.broken = 0 })
	eventually(t, "a late report", func() bool {
		return x.reported(func(m map[string]any) bool {
			age, _ := m["ageMs"].(float64)
			return m["outcome"] == "registered" && age >= 40
		})
	})
}
