package edge_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
)

// judge knows one password for everybody: "good". Without any it challenges.
func judge() *fake {
	return &fake{decide: func(req *registration.Request, reply func(registration.Reply)) {
		switch {
		case len(req.Authorize) == 0:
			reply(registration.Reply{Status: 401, Challenges: []string{`Digest realm="example.com", nonce="n"`}})
		case req.Authorize[0] == "good":
			accept(req, reply)
		default:
			reply(registration.Reply{Status: 401, Sender: registration.Wrong})
		}
	}}
}

// silence is how long nothing has to come until a test says that nothing comes.
const silence = 2 * time.Second

// register sends one REGISTER and returns the status of the answer, or "" when there is none or the connection is closed.
func (r *running) register(nc net.Conn, user, password string, more ...string) string {
	r.t.Helper()
	lines := append([]string{"Contact: <sip:" + user + "@192.0.2.1>", "X-Padding: " + strings.Repeat("x", 200)}, more...)
	if password != "" {
		lines = append(lines, "Authorization: "+password)
	}
	_, _ = io.WriteString(nc, message("REGISTER", "UDP", user, lines...))
	_ = nc.SetReadDeadline(time.Now().Add(silence))
	buf := make([]byte, 4096)
	n, err := nc.Read(buf)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		r.t.Fatal(err)
	}
	return status(string(buf[:n]))
}

// clock is a clock that the test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

func TestWhoGuessesIsNotHeard(t *testing.T) {
	var c clock
	h := &hears{fake: judge()}
	r := startAt(t, h, edge.Limits{Guesses: 3}, c.now)
	request := func(user, callID, password string) string {
		lines := []string{"Contact: <sip:1@a>", "X-Padding: " + strings.Repeat("x", 200)}
		if password != "" {
			lines = append(lines, "Authorization: "+password)
		}
		return strings.Replace(message("REGISTER", "UDP", user, lines...), "call-"+user, callID, 1)
	}
	ask := func(nc net.Conn, user, callID, password string) string {
		t.Helper()
		_, _ = io.WriteString(nc, request(user, callID, password))
		_ = nc.SetReadDeadline(time.Now().Add(silence))
		buf := make([]byte, 4096)
		n, _ := nc.Read(buf)
		return status(string(buf[:n]))
	}
	phone, guesser := r.dial("udp"), r.dial("udp")
	if got := ask(phone, "1", "phone", "good"); got != "200" {
		t.Fatal(got)
	}
	for i, want := range []string{"401", "401", "401", "", ""} {
		if got := ask(guesser, "1", "guess", "bad"); got != want {
			t.Errorf("guess %d: %q", i, got)
		}
	}
	if got := ask(guesser, "1", "guess", "good"); got != "" {
		t.Errorf("the right guess after too many wrong ones: %q", got)
	}
	for name, got := range map[string]string{
		"the phone on its flow":             ask(phone, "1", "phone", "good"),
		"the phone on another flow":         ask(r.dial("udp"), "1", "phone", "good"),
		"the phone, another connection":     ask(r.dial("tcp"), "1", "phone", "good"),
		"another extension behind the same": ask(guesser, "2", "guess", "good"),
	} {
		if got != "200" {
			t.Errorf("%s: %q", name, got)
		}
	}
	h.mu.Lock()
	if told := strings.Join(h.told, "; "); told != "udp 1@example.com after 3 wrong passwords for this extension from there, further requests "+
		"are left unanswered, but one every 30s" {
		t.Errorf("told %q", told)
	}
	h.mu.Unlock()
	if got := ask(guesser, "1", "guess", ""); got != "401" {
		t.Errorf("a question without an answer: %q", got)
	}
	c.advance(31 * time.Second)
	if got := ask(guesser, "1", "guess", "good"); got != "200" {
		t.Errorf("a phone with a new password, later: %q", got)
	}
}

func TestSourceIsBannedUnlessSomebodyIsKnownThere(t *testing.T) {
	var c clock
	limits := edge.Limits{SourceWrong: 5, SourceRequests: 1000, Guesses: 100}
	r := startAt(t, judge(), limits, c.now)
	crack := func(nc net.Conn) {
		for i := range 8 {
			if r.register(nc, fmt.Sprint(100+i), "bad") == "" {
				return // it is banned
			}
		}
	}
	crack(r.dial("udp"))
	for _, transport := range []string{"udp", "tcp", "tls", "ws"} {
		if transport == "udp" {
			if got := r.register(r.dial("udp"), "1", "good"); got != "" {
				t.Errorf("udp: banned and still answered: %q", got)
			}
			continue
		}
		nc, err := net.Dial("tcp", r.Addr(transport).String())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := nc.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: banned and still heard: %v", transport, err)
		}
		_ = nc.Close()
	}
	if n := r.Counters().Bans; n != 1 {
		t.Errorf("%d bans", n)
	}
	c.advance(time.Hour + time.Second)
	phone := r.dial("tcp")
	if got := r.register(phone, "1", "good"); got != "200" {
		t.Fatalf("after the ban: %q", got)
	}
	crack(r.dial("udp"))
	if got := r.register(r.dial("udp"), "2", "good"); got != "200" {
		t.Errorf("a source was banned where somebody is known: %q", got)
	}
	c.advance(25 * time.Hour)
	crack(r.dial("udp"))
	if got := r.register(r.dial("udp"), "2", "good"); got != "" {
		t.Errorf("not banned a day later: %q", got)
	}
	if got := r.register(phone, "1", "good"); got != "200" {
		t.Errorf("an authenticated flow was banned: %q", got)
	}
}

func TestScannersAreBanned(t *testing.T) {
	r := start(t, judge(), edge.Limits{SourceRequests: 20})
	nc := r.dial("tcp")
	for range 30 {
		_, _ = io.WriteString(nc, message("OPTIONS", "TCP", "1"))
	}
	all, _ := io.ReadAll(nc)
	if answered := strings.Count(string(all), "SIP/2.0 200"); answered < 15 || answered > 22 {
		t.Errorf("%d answers", answered)
	}
}

// After a restart phones that are still bound are known from the store.
func TestRememberedDevicesAreKnown(t *testing.T) {
	r := start(t, judge(), edge.Limits{SourceWrong: 5, Guesses: 2})
	nc := r.dial("udp")
	r.Remember(telephony.Flow{Remote: local(nc)}, telephony.NewAoR("1", "example.com"), "", "call-1", time.Now())
	for range 10 {
		r.register(r.dial("udp"), "2", "bad")
	}
	for range 4 {
		r.register(r.dial("udp"), "1", "bad")
	}
	if got := r.register(nc, "1", "good"); got != "200" {
		t.Errorf("%q", got)
	}
}

func TestStrangersGetLittleOverUDP(t *testing.T) {
	r := start(t, judge(), edge.Limits{})
	long := "X-Padding: " + strings.Repeat("x", 600)
	for name, c := range map[string]struct {
		request, want string
		whole         bool
	}{
		"short OPTIONS":  {message("OPTIONS", "UDP", "1"), "200", false},
		"long OPTIONS":   {message("OPTIONS", "UDP", "1", long), "200", true},
		"short INVITE":   {message("INVITE", "UDP", "1"), "405", true},
		"long REGISTER":  {message("REGISTER", "UDP", "1", long), "401", true},
		"short nonsense": {"OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;rport\r\nf:<sip:a>\r\nt:<sip:a>\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n", "", false},
	} {
		nc := r.dial("udp")
		_, _ = io.WriteString(nc, c.request)
		_ = nc.SetReadDeadline(time.Now().Add(silence))
		buf := make([]byte, 4096)
		n, _ := nc.Read(buf)
		answer := string(buf[:n])
		if status(answer) != c.want || 2*n > 3*len(c.request) {
			t.Errorf("%s: %d bytes for %d: %s", name, n, len(c.request), answer)
		}
		if whole := strings.Contains(answer, "Allow: ") || strings.Contains(answer, "WWW-Authenticate"); whole != c.whole {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

func TestOverloadServesKnownDevicesFirst(t *testing.T) {
	r := start(t, judge(), edge.Limits{Admission: 5})
	phone := r.dial("tcp")
	if got := r.register(phone, "1", "good"); got != "200" {
		t.Fatal(got)
	}
	served, later := 0, 0
	stranger := r.dial("tcp")
	for i := range 50 {
		_, _ = io.WriteString(stranger, message("REGISTER", "TCP", fmt.Sprint(100+i), "Contact: <sip:1@a>"))
	}
	for _, a := range answers(t, stranger, 50) {
		switch {
		case status(a) == "401":
			served++
		case status(a) == "503" && strings.Contains(a, "Retry-After: "):
			later++
		default:
			t.Errorf("%s", a)
		}
	}
	if served > 10 || served+later != 50 {
		t.Errorf("%d served, %d told to come later", served, later)
	}
	for range 10 {
		if got := r.register(phone, "1", "good"); got != "200" {
			t.Errorf("a known flow got %q", got)
		}
	}
	if got := r.register(r.dial("tcp"), "1", "good"); got != "200" {
		t.Errorf("a known device on a new connection got %q", got)
	}
	if c := r.Counters(); c.Rejects[edge.Reject{Listener: "tcp", Reason: "overload"}] != uint64(later) {
		t.Errorf("counted %v", c.Rejects)
	}
}

// Strangers who say something now and then do not keep phones out, nor does a phone lose its connection for another.
func TestConnectionsOfStrangersMakeRoom(t *testing.T) {
	for _, kind := range []string{"tcp", "tls", "ws"} {
		t.Run(kind, func(t *testing.T) {
			r := start(t, judge(), edge.Limits{Connections: 4, Patience: time.Nanosecond})
			connect := func() (say func(string) string) {
				if kind == "ws" {
					ws := r.web(kind)
					return func(s string) string {
						sendWeb(t, ws, websocket.MessageText, s)
						_, answer, _ := receive(t, ws)
						return status(answer)
					}
				}
				nc := r.dial(kind)
				return func(s string) string {
					_, _ = io.WriteString(nc, s)
					return status(answers(t, nc, 1)[0])
				}
			}
			register := func(user string) string {
				return message("REGISTER", strings.ToUpper(kind), user, "Contact: <sip:"+user+"@192.0.2.1>", "Authorization: good")
			}
			first := connect()
			if got := first(register("1")); got != "200" {
				t.Fatal(got)
			}
			for i := range 10 {
				if got := connect()(message("OPTIONS", strings.ToUpper(kind), fmt.Sprint(100+i))); got != "200" {
					t.Fatalf("stranger %d: %s", i, got)
				}
			}
			for i := range 3 {
				if got := connect()(register(fmt.Sprint(2 + i))); got != "200" {
					t.Errorf("phone %d: %s", i, got)
				}
			}
			if got := first(register("1")); got != "200" {
				t.Errorf("the first phone: %s", got)
			}
			eventually(t, "nobody else is connected", func() bool { return r.Counters().Open[kind] == 4 })
			rejects := r.Counters().Rejects
			if got := rejects[edge.Reject{Listener: kind, Reason: "displaced"}]; got != 10 || len(rejects) != 1 {
				t.Errorf("counted %v", rejects)
			}
		})
	}
}
