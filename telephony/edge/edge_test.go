package edge_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
)

func TestRegisterOverEveryTransport(t *testing.T) {
	for _, name := range []string{"udp", "tcp", "tls"} {
		t.Run(name, func(t *testing.T) {
			h := &fake{}
			r := start(t, h, edge.Limits{})
			nc := r.dial(name)
			_, err := io.WriteString(nc, message("REGISTER", strings.ToUpper(name), "1001",
				`Contact: "D" <sip:1001@192.0.2.1;ob>;q=0.5;expires=60;reg-id=1;+sip.instance="<urn:uuid:1>"`,
				"Expires: 300", "Supported: path, outbound", "Path: <sip:p1;lr>, <sip:p2;lr>",
				`Authorization: Digest username="1001"`, "User-Agent: Phone \x00é"))
			if err != nil {
				t.Fatal(err)
			}
			got := answers(t, nc, 1)[0]
			for _, want := range []string{
				"SIP/2.0 200 OK\r\n", fmt.Sprintf(";rport=%d;received=127.0.0.1\r\n", local(nc).Port()),
				"To: <sip:1001@Example.com>;tag=", "Call-ID: call-1001\r\n", "CSeq: 1 REGISTER\r\n", "Path: <sip:p2;lr>\r\n",
				`Contact: <sip:1001@192.0.2.1;ob>;expires=600;q=0.500;+sip.instance="<urn:uuid:1>";reg-id=1`,
			} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			requests, _ := h.seen()
			req := *requests[0]
			flow := req.Flow
			if flow.ID == 0 || flow.Listener != name || string(flow.Transport) != name || flow.Remote != local(nc) {
				t.Errorf("flow %+v", flow)
			}
			if age := time.Since(req.Came); age < 0 || age > time.Minute {
				t.Errorf("it came %v ago", age)
			}
			req.Flow, req.Came = telephony.Flow{}, time.Time{}
			want := registration.Request{
				Domain: "example.com", To: telephony.AoR{User: "1001", Domain: "example.com"},
				From: telephony.AoR{User: "1001", Domain: "example.com"}, CallID: "call-1001", CSeq: 1, Expires: 300,
				Contacts: []registration.Contact{
					{URI: "sip:1001@192.0.2.1;ob", Instance: "urn:uuid:1", RegID: 1, Q: 500, Expires: 60},
				},
				Path: []string{"<sip:p1;lr>", "<sip:p2;lr>"}, PathKnown: true, Outbound: true,
				Authorize: []string{`Digest username="1001"`}, UserAgent: "Phone é",
			}
			if !reflect.DeepEqual(req, want) {
				t.Errorf("got  %+v\nwant %+v", req, want)
			}
		})
	}
}

// What a proxy in between serves is read from its Feature-Caps; from a phone itself it would mean nothing.
func TestPushersAreReadBehindAProxy(t *testing.T) {
	for via, want := range map[string][]string{"": nil, "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKphone": {"fcm", "apns"}} {
		h := &fake{}
		r := start(t, h, edge.Limits{})
		nc := r.dial("tcp")
		more := []string{`Feature-Caps: *;+sip.pns="fcm";+sip.vapid="x", *;+sip.pnsreg="130"`, "feature-caps: *;+SIP.PNS=apns"}
		if via != "" {
			more = append(more, via)
		}
		if _, err := io.WriteString(nc, message("REGISTER", "TCP", "1001", append(more, "Contact: <sip:1001@192.0.2.1>")...)); err != nil {
			t.Fatal(err)
		}
		answers(t, nc, 1)
		requests, _ := h.seen()
		if got := requests[0].Pushers; !slices.Equal(got, want) {
			t.Errorf("behind %q: %q, want %q", via, got, want)
		}
	}
}

func TestEveryOtherMethodIsRefused(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	want := map[string]string{
		"OPTIONS": "200", "INVITE": "405", "BYE": "405", "CANCEL": "481", "PRACK": "405", "UPDATE": "405", "INFO": "405",
		"SUBSCRIBE": "405", "NOTIFY": "405", "MESSAGE": "405", "REFER": "405", "PUBLISH": "405", "FOO": "501",
		"register": "501",
	}
	for _, transport := range []string{"udp", "tcp", "tls"} {
		nc := r.dial(transport)
		for method, code := range want {
			_, _ = io.WriteString(nc, message("ACK", transport, "1")+"") // absorbed
			_, _ = io.WriteString(nc, message(method, transport, "1"))
			got := answers(t, nc, 1)[0]
			if status(got) != code {
				t.Errorf("%s %s: %s, want %s", transport, method, status(got), code)
			}
			if code == "405" && !strings.Contains(got, "Allow: REGISTER, OPTIONS\r\n") {
				t.Errorf("%s: no Allow in\n%s", method, got)
			}
		}
	}
	c := r.Counters()
	if n := c.Messages[edge.Message{Listener: "udp", Method: "INVITE", Status: 405}]; n != 1 {
		t.Errorf("counted %d INVITEs", n)
	}
	if n := c.Messages[edge.Message{Listener: "tls", Method: "ACK"}]; n != uint64(len(want)) {
		t.Errorf("counted %d ACKs", n)
	}
}

func TestFaultsAreAnsweredWhereThatIsSafe(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	good := message("REGISTER", "UDP", "1", "Contact: <sip:1@a>")
	for name, c := range map[string]struct{ old, new, want string }{
		"URI scheme":     {"REGISTER sip:", "REGISTER nobody:", "416"},
		"URI headers":    {"example.com SIP", "example.com?a=b SIP", "400"},
		"version":        {"SIP/2.0\r\nVia", "SIP/7.0\r\nVia", "505"},
		"require":        {"Max-Forwards", "Require: 100rel, path\r\nMax-Forwards", "420"},
		"duplicate":      {"Max-Forwards", "i: 2\r\nMax-Forwards", "400"},
		"mismatch":       {"1 REGISTER", "1 OPTIONS", "400"},
		"To scheme":      {"<sip:1@Example.com>", "<isbn:2983792873>", "400"},
		"To quotes":      {"To: <", `To: "Mr. <`, "400"},
		"contact":        {"<sip:1@a>", "<sip:1@a", "400"},
		"contact header": {"<sip:1@a>", "sip:1@a?Route=%3Csip:b%3E", "400"},
		"q":              {"<sip:1@a>", "<sip:1@a>;q=7", "400"},
		"star and more":  {"<sip:1@a>", "*, <sip:1@a>", "400"},
		"instance":       {"<sip:1@a>", `<sip:1@a>;+sip.instance="<a b>"`, "400"},
		"NUL in contact": {"<sip:1@a>", "<sip:1\x00@a>", "400"},
		"silence":        {"CSeq: 1 REGISTER\r\n", "", ""},
		"Via":            {"SIP/2.0/UDP 192", "SIP/2.0 UDP 192", "400"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%s: not in the message", name)
		}
		nc := r.dial("udp")
		_, _ = io.WriteString(nc, bad)
		_, _ = io.WriteString(nc, good) // answered after the bad one, if that is
		got := status(answers(t, nc, 1)[0])
		if want := c.want; want == "" && got != "200" || want != "" && got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestStreamClosesAfterAFault(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	nc := r.dial("tls")
	_, _ = io.WriteString(nc, strings.Replace(message("OPTIONS", "TLS", "1"), "Content-Length: 0\r\n", "", 1))
	if got := answers(t, nc, 1)[0]; status(got) != "400" {
		t.Errorf("got %s", got)
	}
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("still open: %v", err)
	}
}

// However a stream is cut into pieces, its answers are the same.
func TestPiecesDoNotMatter(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	var stream strings.Builder
	for i := range 20 {
		user := fmt.Sprint(1000 + i)
		stream.WriteString(message("REGISTER", "TCP", user, "Contact: <sip:"+user+"@a>"))
		stream.WriteString("\r\n\r\n" + message("OPTIONS", "TCP", user) + message("ACK", "TCP", user))
	}
	var want []string
	for _, piece := range []int{stream.Len(), 1, 7, 400} {
		nc := r.dial("tcp")
		go func() {
			for rest := stream.String(); len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := io.WriteString(nc, rest[:min(piece, len(rest))]); err != nil {
					return
				}
			}
		}()
		got := answers(t, nc, 60)
		port := fmt.Sprintf("rport=%d;", local(nc).Port())
		for i := range got {
			got[i] = strings.Replace(got[i], port, "", 1)
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("pieces of %d give other answers", piece)
		}
	}
}

func TestSlowSenderIsCutAtTheDeadline(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{MessageTime: 300 * time.Millisecond})
	nc := r.dial("tcp")
	began := time.Now()
	go func() {
		for _, b := range []byte(message("OPTIONS", "TCP", "1")) { // several seconds' worth
			if _, err := nc.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Fatal("answered")
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > time.Minute {
		t.Errorf("cut after %s", took)
	}
	eventually(t, "the cut is counted", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "slow_message"}] == 1
	})
}

func TestSilentSocketsDoNotStopAGoodPhone(t *testing.T) {
	for name, limits := range map[string]edge.Limits{
		"below the limits": {},
		"far above them":   {HalfOpen: 200, SourceHalfOpen: 100, Patience: time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, &fake{}, limits)
			for range 500 {
				nc, err := net.Dial("tcp", r.Addr("tls").String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = nc.Close() }()
			}
			nc := r.dial("tls")
			_, _ = io.WriteString(nc, message("REGISTER", "TLS", "1", "Contact: <sip:1@a>"))
			if got := answers(t, nc, 1)[0]; status(got) != "200" {
				t.Errorf("got %s", got)
			}
			c := r.Counters()
			if limits.HalfOpen > 0 && (c.HalfOpen > 100 || c.Rejects[edge.Reject{Listener: "tls", Reason: "displaced"}] < 400) {
				t.Errorf("half open %d, rejects %v", c.HalfOpen, c.Rejects)
			}
		})
	}
}

// When everybody comes back at once, a handshake under way is not thrown away for the next one.
func TestYoungHandshakesAreNotDisplaced(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{HalfOpen: 10, Patience: time.Minute})
	for range 30 {
		nc, err := net.Dial("tcp", r.Addr("tls").String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
	}
	eventually(t, "twenty are refused and ten stay", func() bool {
		c := r.Counters()
		return c.Rejects[edge.Reject{Listener: "tls", Reason: "half_open"}] == 20 && c.HalfOpen == 10
	})
}

func TestSilentHandshakeEnds(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{Handshake: 100 * time.Millisecond})
	nc, err := net.Dial("tcp", r.Addr("tls").String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v", err)
	}
	eventually(t, "the failure is counted", func() bool {
		return r.Counters().Handshakes[edge.Reject{Listener: "tls", Reason: "timeout"}] == 1
	})
}

func TestPhoneThatDoesNotTrustUsIsCounted(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	_, stranger := certificate(t)
	for _, cfg := range []*tls.Config{
		{RootCAs: stranger, ServerName: "localhost"}, {RootCAs: r.roots, ServerName: "sip.example.com"},
	} {
		if nc, err := tls.Dial("tcp", r.Addr("tls").String(), cfg); err == nil {
			_ = nc.Close()
			t.Fatal("trusted")
		}
	}
	eventually(t, "the failures are counted", func() bool {
		var n uint64
		for reject, count := range r.Counters().Handshakes {
			if reject.Reason == "untrusted_ca" || reject.Reason == "certificate_refused" {
				n += count
			}
		}
		return n == 2
	})
}

// hears is a handler that is told of failed handshakes, and of who guesses too often.
type hears struct {
	*fake
	mu   sync.Mutex
	told []string
}

func (h *hears) HandshakeFailed(f telephony.Flow, fault string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, f.Listener+" "+fault)
}

func (h *hears) GuessesSpent(f telephony.Flow, aor telephony.AoR, fault string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, f.Listener+" "+aor.String()+" "+fault)
}

// Faults that somebody can mend are told on; those of scanners are not.
func TestHandshakeFaultsAreToldOn(t *testing.T) {
	h := &hears{fake: &fake{}}
	r := start(t, h, edge.Limits{})
	if nc, err := tls.Dial("tcp", r.Addr("tls").String(), &tls.Config{ServerName: "localhost"}); err == nil {
		_ = nc.Close()
		t.Fatal("trusted")
	}
	for _, says := range []string{"GET / HTTP/1.1\r\n\r\n", ""} {
		nc, err := net.Dial("tcp", r.Addr("tls").String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, says)
		_ = nc.Close()
	}
	if old, err := tls.Dial("tcp", r.Addr("tls").String(), &tls.Config{RootCAs: r.roots, ServerName: "localhost",
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = old.Close()
		t.Fatal("TLS 1.1 was taken")
	}
	eventually(t, "both faults are told", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.told) == 2
	})
	if !strings.Contains(h.told[0], "tls it ") || !strings.Contains(h.told[0]+h.told[1], "no TLS version in common") {
		t.Errorf("%q", h.told)
	}
}

func TestConnectionCaps(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{SourceConnections: 2, Patience: time.Hour})
	for range 2 {
		nc := r.dial("tcp")
		_, _ = io.WriteString(nc, message("OPTIONS", "TCP", "1"))
		answers(t, nc, 1)
	}
	if _, err := r.dial("tcp").Read(make([]byte, 1)); err == nil {
		t.Error("a third connection was served")
	}
}

func TestUDPRepliesToStrangersAreLimited(t *testing.T) {
	h := &fake{decide: func(req *registration.Request, reply func(registration.Reply)) {
		if len(req.Authorize) == 0 {
			reply(registration.Reply{Status: 401, Challenges: []string{`Digest realm="x"`}})
			return
		}
		accept(req, reply)
	}}
	r := start(t, h, edge.Limits{UDPReplies: 1}) // and a burst of four
	known, stranger := r.dial("udp"), r.dial("udp")
	_, _ = io.WriteString(known, message("REGISTER", "UDP", "1", "Authorization: Digest x"))
	answers(t, known, 1)
	for range 20 {
		_, _ = io.WriteString(stranger, message("REGISTER", "UDP", "2"))
	}
	eventually(t, "the flood is cut", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "udp", Reason: "rate"}] >= 10
	})
	for range 20 {
		_, _ = io.WriteString(known, message("OPTIONS", "UDP", "1"))
		if got := answers(t, known, 1)[0]; status(got) != "200" {
			t.Fatalf("the known remote got %s", got)
		}
	}
}

// A peer that asks and never reads the answers is cut off, and nobody waited for it.
func TestSlowReaderIsCut(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{SourceRequests: 1 << 20, Write: time.Second})
	nc := r.dial("tcp")
	batch := strings.Repeat(message("OPTIONS", "TCP", "1"), 100)
	for {
		if _, err := io.WriteString(nc, batch); err != nil {
			break
		}
	}
	eventually(t, "the cut is counted", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "slow_reader"}] > 0
	})
	good := r.dial("tcp")
	_, _ = io.WriteString(good, message("OPTIONS", "TCP", "1"))
	answers(t, good, 1)
}

func TestFlowClosedComesAfterTheReply(t *testing.T) {
	replies := make(chan func(registration.Reply), 1)
	h := &fake{decide: func(_ *registration.Request, reply func(registration.Reply)) { replies <- reply }}
	r := start(t, h, edge.Limits{})
	nc := r.dial("tls")
	_, _ = io.WriteString(nc, message("REGISTER", "TLS", "1", "Contact: <sip:1@a>"))
	reply := <-replies
	_ = nc.Close()
	if _, closed := h.seen(); len(closed) != 0 {
		t.Error("closed before its reply")
	}
	reply(registration.Reply{Status: 200})
	reply(registration.Reply{Status: 200})
	eventually(t, "the flow is closed", func() bool { _, closed := h.seen(); return len(closed) == 1 })
	requests, closed := h.seen()
	if requests[0].Flow != closed[0] {
		t.Errorf("%+v closed, %+v registered", closed[0], requests[0].Flow)
	}
	if n := r.Counters().TwiceOrLate; n != 1 {
		t.Errorf("%d late replies", n)
	}
}

func TestStopFinishesWorkInHand(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		replies := make(chan func(registration.Reply), 1)
		h := &fake{decide: func(_ *registration.Request, reply func(registration.Reply)) { replies <- reply }}
		r := start(t, h, edge.Limits{})
		nc := r.dial(transport)
		_, _ = io.WriteString(nc, message("REGISTER", transport, "1", "Contact: <sip:1@a>"))
		reply := <-replies
		stopped := make(chan struct{})
		go func() {
			r.stop()
			close(stopped)
		}()
		if transport != "udp" { // a listener that refuses shows that stopping has begun
			eventually(t, "no new connections", func() bool {
				other, err := net.Dial("tcp", r.Addr("tcp").String())
				if err == nil {
					_ = other.Close()
				}
				return err != nil
			})
		}
		reply(registration.Reply{Status: 200})
		if got := answers(t, nc, 1)[0]; status(got) != "200" {
			t.Errorf("%s: %s", transport, got)
		}
		<-stopped
		if _, closed := h.seen(); transport != "udp" && len(closed) != 1 {
			t.Errorf("%s: %d flows reported closed", transport, len(closed))
		}
	}
}

func TestStopDoesNotWaitForAReplyThatNeverComes(t *testing.T) {
	handed := make(chan struct{}, 2)
	h := &fake{decide: func(*registration.Request, func(registration.Reply)) { handed <- struct{}{} }}
	r := start(t, h, edge.Limits{Stop: 50 * time.Millisecond})
	for _, transport := range []string{"udp", "tls"} {
		_, _ = io.WriteString(r.dial(transport), message("REGISTER", transport, "1", "Contact: <sip:1@a>"))
		<-handed
	}
	r.stop()
	if !strings.Contains(r.logs.String(), "replies were still due") {
		t.Error(r.logs.String())
	}
}

func TestNewRefuses(t *testing.T) {
	for name, l := range map[string][]edge.Listener{
		"none":         {},
		"no name":      {{Transport: telephony.UDP}},
		"same name":    {{Name: "a", Transport: telephony.UDP}, {Name: "a", Transport: telephony.TCP}},
		"no TLS":       {{Name: "a", Transport: telephony.TLS}},
		"client certs": {{Name: "a", Transport: telephony.TLS, TLS: &tls.Config{ClientAuth: tls.RequestClientCert}}},
		"transport":    {{Name: "a", Transport: "sctp"}},
	} {
		if _, err := edge.New(edge.Config{Listeners: l}); !errors.Is(err, edge.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLogsHoldNothingOfAMessage(t *testing.T) {
	h := &fake{decide: func(*registration.Request, func(registration.Reply)) { panic("canary") }}
	r := start(t, h, edge.Limits{})
	for _, bad := range []string{"", "CSeq: 2 OPTIONS", "i: canary", "No colon canary", "Content-Length: canary"} {
		for _, transport := range []string{"udp", "tcp", "tls"} {
			nc := r.dial(transport)
			_, _ = io.WriteString(nc, message("REGISTER", transport, "canary", `Authorization: Digest response="canary"`, bad))
			_, _ = io.WriteString(nc, message("OPTIONS", transport, "1"))
			_ = nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			_, _ = nc.Read(make([]byte, 4096))
		}
	}
	r.stop()
	if logs := r.logs.String(); strings.Contains(logs, "canary") {
		t.Error(logs)
	}
}

// A bad message on a connection that many phones share behind a proxy costs none of the others theirs.
func TestConnectionOutlivesABadMessage(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	bad := strings.Replace(message("OPTIONS", "TCP", "bad"), "CSeq: 1", "CSeq: one", 1)
	for _, transport := range []string{"tcp", "tls"} {
		nc := r.dial(transport)
		if _, err := io.WriteString(nc, message("OPTIONS", "TCP", "1001")+bad+message("OPTIONS", "TCP", "1002")); err != nil {
			t.Fatal(err)
		}
		got := answers(t, nc, 3)
		if status(got[0]) != "200" || status(got[1]) != "400" || status(got[2]) != "200" {
			t.Errorf("%s: %q", transport, got)
		}
		// After two lengths nobody knows where the next message begins.
		if _, err := io.WriteString(nc, strings.Replace(bad, "Content-Length: 0", "Content-Length: 0\r\nl: 9", 1)); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(nc); err != nil || status(string(rest)) != "400" || strings.Count(string(rest), "SIP/2.0 ") != 1 {
			t.Errorf("%s: %q, %v", transport, rest, err)
		}
	}
}
