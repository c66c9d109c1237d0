package interop_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"demarc/test/shipped"
)

// built is demarc as it is shipped, built once for all tests.
var built struct {
	once         sync.Once
	dir, program string
	err          error
}

// installed returns the path of that program.
func installed(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "demarc"); built.err == nil {
			built.program, built.err = shipped.Build(context.Background(), built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.program
}

// process is a gateway in a process of its own, which can be killed and started again on the same store and addresses.
type process struct {
	t            *testing.T
	demarc, dir  string
	serving      *program
	api, metrics string // host:port
	sip          map[string]netip.AddrPort
}

// newProcess starts one with all roles on SQLite, with so many media ports, and signs its owner in.
func newProcess(t *testing.T, mediaPorts int) *system {
	t.Helper()
	dir, err := os.MkdirTemp("", "demarc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &process{t: t, demarc: installed(t), dir: dir, api: lasting(t, "tcp4"), metrics: lasting(t, "tcp4"), sip: map[string]netip.AddrPort{
		"udp": netip.MustParseAddrPort(lasting(t, "udp4")), "tls": netip.MustParseAddrPort(lasting(t, "tcp4")),
	}}
	first := 31100 + 2*rand.IntN(700) // out of the way of phones and of other gateways
	write(t, dir, "users.yaml", manyPeople())
	write(t, dir, "demarc.yaml", fmt.Sprintf(`data_dir: %[1]s/data
account: {domain: %[2]s}
http: {listen: "%[3]s", metrics: "%[4]s"}
cloudlink: {listen: "%[5]s"}
log: {level: warn}
telephony:
  directory: %[1]s/users.yaml
  media: {ports: %[6]d-%[7]d, timeout: 10m}
  listeners:
  - {name: udp, transport: udp, address: "%[8]s"}
  - {name: tls, transport: tls, address: "%[9]s"}
`, dir, domain, p.api, p.metrics, lasting(t, "tcp4"), first, first+mediaPorts-1, p.sip["udp"], p.sip["tls"]))
	p.start()
	ca, err := os.ReadFile(filepath.Join(dir, "data/pki/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(p.api)
	s := &system{t: t, process: p, admin: newAdmin(t, "https://localhost:"+port, ca), ids: map[string]string{},
		caFile: filepath.Join(dir, "data/pki/ca.pem")}
	link, _, _ := strings.Cut(p.run("sign-in", "owner@"+domain), "\n")
	s.admin.open(link)
	s.admin.press("", nil)
	return s
}

// start starts it, and waits until it is ready.
func (p *process) start() {
	p.t.Helper()
	p.serving = start(p.t, p.dir, p.demarc, "--config", filepath.Join(p.dir, "demarc.yaml"), "serve")
	eventually(p.t, "the gateway is ready", func() (bool, any) {
		select {
		case <-p.serving.ended:
			p.t.Fatalf("the gateway ended: %s", p.serving.output.String())
		default:
		}
		reply, err := http.Get("http://" + p.metrics + "/readyz")
		if err != nil {
			return false, err
		}
		defer http.DefaultClient.CloseIdleConnections()
		return reply.Body.Close() == nil && reply.StatusCode == http.StatusOK, reply.Status
	})
}

// run runs one of demarc's commands against the gateway.
func (p *process) run(args ...string) string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), p.demarc,
		append([]string{"--config", filepath.Join(p.dir, "demarc.yaml")}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("demarc %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// lasting returns an address whose port nobody else takes between two starts: it is below those that the kernel gives to
// whoever asks for any, and none that a phone chooses for media or for commands.
func lasting(t *testing.T, network string) string {
	t.Helper()
	for range 1000 {
		if network == "udp4" {
			l, err := net.ListenPacket(network, "127.0.0.1:"+strconv.Itoa(30000+rand.IntN(1000)))
			if err == nil {
				defer l.Close()
				return l.LocalAddr().String()
			}
		} else if l, err := net.Listen(network, "127.0.0.1:"+strconv.Itoa(20000+rand.IntN(10000))); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}
