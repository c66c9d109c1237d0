package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// demarc is a server of ours, as built from ./cmd/demarc, with shipped defaults but for its addresses.
type demarc struct {
	*process
	program, dir, config            string
	udp, tls, https, cloud, metrics string
	internal                        string // between nodes, when it has a name
}

// setting is a server's configuration where it differs from the defaults.
type setting struct {
	roles    string // comma separated
	store    string // URL; empty: SQLite in the data directory
	bindings string // telephony.bindings; empty: the default
	users    int
	node     string  // its name among several; empty: there is one
	like     *demarc // whose keyset and authority it shares
	untraced bool    // remembers no messages for demarc trace
	trusting bool    // whoever has registered over a connection calls without a digest
	patient  bool    // calls without sound are not ended
}

// lines are the settings of telephony that differ.
func (s setting) lines(internal string) string {
	lines := line("  bindings: ", s.bindings) + line("  node: ", s.node)
	if s.patient {
		lines += "  media: {timeout: 1h}\n"
	}
	if s.untraced {
		lines += line("  trace_memory: ", "0")
	}
	if s.node != "" {
		lines += line("  internal_listen: ", internal)
	}
	return lines
}

func startDemarc(ctx context.Context, program, dir string, s setting) (*demarc, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	users := filepath.Join(dir, "users.csv")
	if err := os.WriteFile(users, usersFile(s.users), 0o600); err != nil {
		return nil, err
	}
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	d := &demarc{
		program: program, dir: filepath.Join(dir, "data"), udp: ports[0], tls: ports[1], https: ports[2], cloud: ports[3],
		metrics: ports[4], internal: ports[5],
	}
	file := filepath.Join(dir, "demarc.yaml")
	d.config = file
	if err := os.WriteFile(file, []byte(fmt.Sprintf(`roles: [%s]
data_dir: %q
account: {domain: %s}
store: {url: %q}
http: {listen: %q, metrics: %q}
cloudlink: {listen: %q}
telephony:
  directory: %q
%s  listeners:
  - {name: udp, transport: udp, address: %[10]q%[12]s}
  - {name: tls, transport: tls, address: %[11]q%[12]s}
`, s.roles, d.dir, realm, s.store, d.https, d.metrics, d.cloud, users, s.lines(d.internal), d.udp, d.tls,
		s.calls())),
		0o600); err != nil {
		return nil, err
	}
	if s.like != nil {
		if err := d.join(s.like); err != nil {
			return nil, err
		}
	}
	if d.process, err = start(nil, dir, program, "serve", "--config", file); err != nil {
		return nil, err
	}
	d.process.profile = d.takeProfile
	if err := d.awaitReady(ctx, "http://"+d.metrics+"/readyz"); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// takeProfile writes a CPU profile of so long into a file of its own in the directory.
func (d *demarc) takeProfile(ctx context.Context, length time.Duration, into string) error {
	file, err := os.CreateTemp(into, "cpu-*.pprof")
	if err != nil {
		return err
	}
	seconds := strconv.Itoa(max(1, int(length.Seconds())))
	return errors.Join(d.profiled(ctx, "cpu", "--seconds", seconds, "--output", file.Name()), file.Close())
}

func (d *demarc) profiled(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, d.program, append([]string{"--data-dir", d.dir, "profile"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("profile: %w: %s", err, out)
	}
	return nil
}

// takeHeap writes a profile of the heap into a file of its own in the directory.
func (d *demarc) takeHeap(ctx context.Context, into string) error {
	file, err := os.CreateTemp(into, "heap-*.pprof")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, d.program, "--data-dir", d.dir, "profile", "heap", "--output", file.Name()).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("profile: %w: %s", err, out)
	}
	return errors.Join(err, file.Close())
}

// calls says how callers are authenticated.
func (s setting) calls() string {
	if s.trusting {
		return ", call_authentication: registered"
	}
	return ""
}

func line(key, value string) string {
	if value == "" {
		return ""
	}
	return key + value + "\n"
}

// usersFile is the PBX's directory.
func usersFile(n int) []byte {
	var b strings.Builder
	b.WriteString("extension,name,email,password\n")
	for i := range n {
		u := subscriber(i)
		fmt.Fprintf(&b, "%s,User %s,%s,p%s\n", u, u, email(i), u)
	}
	return []byte(b.String())
}

func email(n int) string { return "u" + subscriber(n) + "@perf.example" }

// clientTLS trusts the server's own authority.
func (d *demarc) clientTLS() (*tls.Config, error) {
	return trust(filepath.Join(d.dir, "pki", "ca.pem"))
}

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}, nil
}

// freePorts returns loopback addresses that are free for TCP and UDP. Somebody else may take one before we do; then the
// server says so.
func freePorts(n int) ([]string, error) {
	var found []string
	for len(found) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		u, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			continue
		}
		defer u.Close()
		found = append(found, l.Addr().String())
	}
	return found, nil
}
