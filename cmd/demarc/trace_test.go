package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/api"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/trace"

	storeaccess "demarc/store/access"

	"demarc/store"
)

// traces is what a gateway remembers.
type traces struct{ *trace.Recorder }

func (s traces) Trace(_ context.Context, _ account.ID, of string, after trace.Cursor) (api.Traced, error) {
	told := api.Traced{Next: after, Unasked: []api.Unasked{{Node: "n2", Reason: "connection refused"}}}
	for _, e := range s.Find(trace.Question{Domain: "pbx.test", Of: of, After: after["n1"]}).Entries {
		told.Messages = append(told.Messages, api.TracedMessage{Node: "n1", Entry: e})
		told.Next["n1"] = e.Seq
	}
	return told, nil
}

func (s traces) add(inbound bool, text string) {
	s.Record(trace.Message{
		At: time.Unix(1_700_000_000, 0), AoR: telephony.NewAoR("1001", "pbx.test"), Inbound: inbound, Transport: telephony.TLS,
		Local: netip.MustParseAddrPort("127.0.0.1:5061"), Remote: netip.MustParseAddrPort("192.0.2.1:40000"), Text: []byte(text),
	})
}

// tracing serves the operator's API with those messages.
func tracing(t *testing.T, s traces) *root {
	t.Helper()
	if s.Recorder == nil {
		return serving(t, nil, nil)
	}
	return serving(t, s, nil)
}

// serving serves the operator's API for one account.
func serving(t *testing.T, s api.Tracer, calls api.Calls, changes ...func(*api.Config)) *root {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(dir, "demarc.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	people := storeaccess.New(db)
	service := access.New(access.Config{Accounts: people, Members: people, Sessions: people, Now: time.Now})
	if _, err := service.CreateAccount(t.Context(), "One", "pbx.test", "o@pbx.test"); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "demarc.sock"))
	if err != nil {
		t.Fatal(err)
	}
	c := api.Config{Access: service, Trace: s, Calls: calls, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for _, change := range changes {
		change(&c)
	}
	server := &http.Server{Handler: api.NewOperator(c)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return &root{DataDir: dir}
}

func TestTrace(t *testing.T) {
	s := traces{trace.NewRecorder(1 << 20)}
	r := tracing(t, s)
	s.add(true, "REGISTER sip:pbx.test SIP/2.0\r\nCall-ID: c1\r\nAuthorization: Digest response=\"canary\"\r\n\r\n")
	s.add(false, "SIP/2.0 401 Unauthorized\x1b[2J\r\nCall-ID: c1\r\n\r\n")
	for _, of := range []string{"1001", "c1"} {
		var out bytes.Buffer
		if err := (&traceCmd{Of: of}).Run(t.Context(), r, &out); err != nil {
			t.Fatal(err)
		}
		day, rungs, _ := strings.Cut(strings.TrimSpace(out.String()), "\n")
		lines := strings.Split(rungs, "\n")
		if day != time.Unix(1_700_000_000, 0).Format("2006-01-02 (MST)") || len(lines) != 2 || !strings.Contains(lines[0], "─ REGISTER sip:pbx.test ─") || !strings.Contains(lines[0], "▶ n1") ||
			!strings.Contains(lines[1], "◀─ 401 Unauthorized") || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s:\n%s", of, out.String())
		}
	}
	var out bytes.Buffer
	if err := (&traceCmd{Of: "1001", Full: true}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "    Authorization: Digest response=***") || strings.Contains(out.String(), "canary") {
		t.Error(out.String())
	}
	err := (&traceCmd{Of: "4711"}).Run(t.Context(), r, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no messages of 4711") || !strings.Contains(err.Error(), "could not be asked") {
		t.Errorf("%v", err)
	}
}

func TestTraceToFile(t *testing.T) {
	s := traces{trace.NewRecorder(1 << 20)}
	r := tracing(t, s)
	s.add(true, "REGISTER sip:pbx.test SIP/2.0\r\n\r\n")
	path := filepath.Join(t.TempDir(), "x.pcap")
	if err := (&traceCmd{Of: "1001", Pcap: path}).Run(t.Context(), r, io.Discard); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(content, []byte{0xd4, 0xc3, 0xb2, 0xa1}) || !bytes.Contains(content, []byte("REGISTER sip:pbx.test")) {
		t.Errorf("%v %q", err, content)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := (&traceCmd{Of: "1O01", Pcap: path}).Run(t.Context(), r, io.Discard); err == nil {
		t.Error("messages of nobody were found")
	}
	if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, content) {
		t.Errorf("a trace of nobody left %d bytes of a capture of %d: %v", len(kept), len(content), err)
	}
}

// locked is written by a command while the test reads it.
func TestTraceForScripts(t *testing.T) {
	s := traces{trace.NewRecorder(1 << 20)}
	r := tracing(t, s)
	s.add(true, "OPTIONS sip:pbx.test SIP/2.0\r\nCall-ID: c1\r\nTo: <sip:1001@pbx.test>\r\n\r\n")
	s.add(false, "SIP/2.0 200 OK\x1b[2J\r\nCall-ID: c1\r\n\r\n")
	var out bytes.Buffer
	if err := (&traceCmd{Of: "1001", JSON: true}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "To: <sip:1001@pbx.test>") || strings.Contains(out.String(), "\x1b") {
		t.Fatalf("%s", out.String())
	}
	var m tracedMessage
	if err := json.Unmarshal([]byte(lines[1]), &m); err != nil || m.CallID != "c1" || m.Inbound || m.Node != "n1" || m.Remote != "192.0.2.1:40000" {
		t.Errorf("%v: %+v", err, m)
	}
}

// outages is a gateway that fails while somebody says so.
type outages struct {
	traces
	away *atomic.Bool
	seen chan struct{} // that it was asked meanwhile
}

func (s outages) Trace(ctx context.Context, id account.ID, of string, after trace.Cursor) (api.Traced, error) {
	if s.away.Load() {
		select {
		case s.seen <- struct{}{}:
		default:
		}
		return api.Traced{}, errors.New("away")
	}
	return s.traces.Trace(ctx, id, of, after)
}

// Whoever follows for hours must not have to begin anew because the gateway did.
func TestTraceFollowsBeyondAnOutage(t *testing.T) {
	s := outages{traces{trace.NewRecorder(1 << 20)}, new(atomic.Bool), make(chan struct{}, 1)}
	r := serving(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var out locked
	ended := make(chan error, 1)
	go func() { ended <- (&traceCmd{Of: "1001", Follow: true}).Run(ctx, r, &out) }()
	shows := func(text string) {
		for end := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), text); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is not shown in:\n%s", text, out.String())
			}
		}
	}
	s.add(true, "REGISTER sip:pbx.test SIP/2.0\r\n\r\n")
	shows("REGISTER")
	s.away.Store(true)
	<-s.seen
	<-s.seen // it asks again
	s.away.Store(false)
	s.add(true, "SUBSCRIBE sip:pbx.test SIP/2.0\r\n\r\n")
	shows("SUBSCRIBE")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "REGISTER"); n != 1 {
		t.Errorf("%d times:\n%s", n, out.String())
	}
}

func TestOutagesAreToldOnce(t *testing.T) {
	var out bytes.Buffer
	var away outage
	for _, err := range []error{nil, errors.New("gone\x1b"), errors.New("gone"), nil, nil, errors.New("again")} {
		away.note(err, &out)
	}
	if got := out.String(); got != "demarc: gone\ndemarc: again\n" {
		t.Errorf("%q", got)
	}
}

// phones answer, or do not.
type phones []api.Reached

func (p phones) Reach(context.Context, account.ID, telephony.AoR) ([]api.Reached, error) {
	return p, nil
}

func TestReach(t *testing.T) {
	silent := api.Reached{Contact: "sip:2", Node: "n2", Reason: "nothing came back\x1b"}
	answers := api.Reached{Contact: "sip:1", Node: "n1", Status: 200, Reason: "OK", Millis: 7}
	for name, c := range map[string]struct {
		phones phones
		fails  string
		shows  []string
	}{
		"one of two": {phones{silent, answers}, "", []string{"sip:2 at node n2 did not answer: nothing came back\n", "sip:1 at node n1 answered 200 OK after 7 ms\n"}},
		"silent":     {phones{silent}, "no phone of 1001 answered", []string{"did not answer"}},
		"nobody":     {nil, "no phone of 1001 is connected", nil},
	} {
		r := serving(t, nil, nil, func(a *api.Config) { a.Reach = c.phones })
		var text, out bytes.Buffer
		for _, err := range []error{
			(&reachCmd{Of: "1001"}).Run(t.Context(), r, &text), (&reachCmd{Of: "1001", JSON: true}).Run(t.Context(), r, &out),
		} {
			if (err != nil) != (c.fails != "") || err != nil && !strings.HasPrefix(err.Error(), c.fails) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, want := range c.shows {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s shows\n%s", name, text.String())
			}
		}
		var told struct{ Phones []toldPhone }
		if err := json.Unmarshal(out.Bytes(), &told); err != nil || told.Phones == nil || len(told.Phones) != len(c.phones) {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
		for i, p := range told.Phones {
			if p.Contact != c.phones[i].Contact || p.Status != c.phones[i].Status || p.Millis != c.phones[i].Millis {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestTraceFollows(t *testing.T) {
	s := traces{trace.NewRecorder(1 << 20)}
	r := tracing(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var out locked
	ended := make(chan error, 1)
	go func() { ended <- (&traceCmd{Of: "1001", Follow: true}).Run(ctx, r, &out) }()
	for i, method := range []string{"REGISTER", "SUBSCRIBE"} {
		s.add(true, method+" sip:pbx.test SIP/2.0\r\n\r\n")
		for end := time.Now().Add(20 * time.Second); strings.Count(out.String(), "\n") != i+2; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %s: %s", method, out.String())
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTraceWhereThereIsNone(t *testing.T) {
	err := (&traceCmd{Of: "1001"}).Run(t.Context(), tracing(t, traces{}), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "telephony.trace_memory") {
		t.Errorf("%v", err)
	}
}
