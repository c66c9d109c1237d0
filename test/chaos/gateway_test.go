package chaos_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"demarc/internal/config"
	"demarc/store"
)

const (
	domain   = "pbx.test"
	patience = 2 * time.Minute
)

// house is the gateway with its data, over all its lives. Each life is a process of its own, so that it can be killed.
type house struct {
	t        *testing.T
	dir      string
	setup    string // what the process is told
	cmd      *exec.Cmd
	operator *http.Client
	log      buffer
	begun    float64 // calls in its earlier lives, as far as history has them
}

// buffer is what the processes have said.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "demarc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	users := "extension,name,email,password\n"
	for i := range people {
		users += fmt.Sprintf("%d,Person %d,p%d@%s,secret-%[1]d\n", firstUser+i, i, i, domain)
	}
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, setup: strings.Join([]string{dir, free(t, "udp"), free(t, "tcp"), free(t, "tcp")}, " ")}
	socket := h.config().OperatorSocket()
	h.operator = &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	h.start()
	t.Cleanup(func() {
		h.end(syscall.SIGTERM)
		if said := h.log.String(); t.Failed() || strings.Contains(said, "DATA RACE") {
			t.Errorf("the gateway said:\n%s", said)
		}
	})
	return h
}

func (h *house) config() config.Config { return configOf(strings.Fields(h.setup)) }

// start starts the process, and returns when it is ready.
func (h *house) start() {
	h.t.Helper()
	h.cmd = exec.Command(os.Args[0])
	h.cmd.Env = append(os.Environ(), serves+"="+h.setup)
	h.cmd.Stdout, h.cmd.Stderr = &h.log, &h.log
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, "the gateway is ready", func() (bool, any) {
		reply, err := h.operator.Get("http://demarc/readyz")
		if err != nil {
			return false, err
		}
		_ = reply.Body.Close()
		return reply.StatusCode == http.StatusOK, reply.Status
	})
}

// end ends the process by a signal.
func (h *house) end(by syscall.Signal) {
	h.t.Helper()
	_ = h.cmd.Process.Signal(by)
	if err := h.cmd.Wait(); err != nil && by != syscall.SIGKILL {
		h.t.Errorf("the gateway does not stop well: %v", err)
	}
}

// stored counts the calls in the store while the process is away.
func (h *house) stored() (calls float64) {
	h.t.Helper()
	db, err := store.Open(h.t.Context(), store.Config{URL: h.config().StoreURL(), Timeout: patience})
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.Read(h.t.Context(), func(q store.Tx) error {
		return q.QueryRow(h.t.Context(), "SELECT count(*) FROM call").Scan(&calls)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return calls
}

// remains is what a gateway without calls holds.
func (h *house) remains() remains {
	h.t.Helper()
	reply, err := h.operator.Get("http://demarc/profile/heap") // it collects garbage
	if err != nil {
		h.t.Fatal(err)
	}
	_ = reply.Body.Close()
	return remains{int(h.metric("go_goroutines")), int(h.metric("go_memstats_heap_alloc_bytes"))}
}

// remains is what a process holds.
type remains struct{ goroutines, heap int }

func (h *house) addresses() map[string]string {
	all := make(map[string]string)
	for _, l := range h.config().Telephony.Listeners {
		all[l.Name] = l.Address
	}
	return all
}

func (h *house) tls() *tls.Config {
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(h.config().DataDir, "pki/ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		h.t.Fatalf("no CA: %v", err)
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// metric adds up what the metrics tell under a name, of the series that have all the labels.
func (h *house) metric(name string, labels ...string) (sum float64) {
	h.t.Helper()
	reply, err := h.operator.Get("http://demarc/metrics")
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		at := strings.LastIndexByte(lines.Text(), ' ') + 1
		series, value := lines.Text()[:max(0, at-1)], lines.Text()[at:]
		if found, _, _ := strings.Cut(series, "{"); found != name ||
			slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(series, l) }) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			h.t.Fatalf("%s: %v", lines.Text(), err)
		}
		sum += n
	}
	return sum
}

// cause is why something ended.
type cause struct {
	Who  string
	Code int
	Text string
}

// call is one call of the history.
type call struct {
	ID, State         string
	StartedAt         time.Time
	AnsweredAt, Ended time.Time `json:"-"`
	EndedAt           time.Time
	Cause             cause
	Legs              []struct {
		Leg     int
		User    string
		EndedAt time.Time
		Cause   cause
	}
}

// calls returns the history since a time, or only what lasts.
func (h *house) calls(ask string) (all []call, err error) {
	for after := ""; ; {
		var page struct {
			Calls []call
			Next  string
		}
		reply, err := h.operator.Get("http://demarc/v1/calls?limit=500&after=" + after + ask)
		if err != nil {
			return nil, err
		}
		err = json.NewDecoder(reply.Body).Decode(&page)
		_ = reply.Body.Close()
		if err != nil || reply.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %w", reply.Status, err)
		}
		all = append(all, page.Calls...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// command asks for something to be done with a call: it may have ended by now.
func (h *house) command(method, path, body string) {
	r, err := http.NewRequestWithContext(h.t.Context(), method, "http://demarc/v1/calls/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/json")
	reply, err := h.operator.Do(r)
	if err != nil {
		return // the gateway is being started again
	}
	_ = reply.Body.Close()
	if reply.StatusCode >= 500 {
		h.t.Errorf("%s %s: %s", method, path, reply.Status)
	}
}

// free returns an address that nobody has. Its port is below those that the kernel gives to whoever asks for none, such as the phones: the
// gateway comes back to it after it was killed.
func free(t *testing.T, network string) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(7000+rand.IntN(2000)))
		if c, err := listen(network, address); err == nil {
			_ = c.Close()
			return address
		}
	}
	t.Fatalf("no port of %s is free", network)
	return ""
}

func listen(network, address string) (io.Closer, error) {
	if network == "udp" {
		return net.ListenPacket(network, address)
	}
	return net.Listen(network, address)
}

func eventually(t *testing.T, what string, ok func() (bool, any)) {
	t.Helper()
	var last any
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var is bool
		if is, last = ok(); is {
			return
		}
	}
	t.Fatalf("never happened: %s; last: %v", what, last)
}
