package interop_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"demarc/internal/config"
	"demarc/telephony"
)

// kamailio starts a Path-adding proxy in front of a listener of the gateway, and returns where phones reach it.
func kamailio(t *testing.T, upstream string) netip.AddrPort {
	t.Helper()
	return kamailioOf(t, "kamailio-path.cfg", nil, "UPSTREAM", upstream)
}

// kamailioOf starts one from a file of testdata, in which words are replaced by others.
func kamailioOf(t *testing.T, file string, args []string, words ...string) netip.AddrPort {
	t.Helper()
	modules, err := filepath.Glob("/usr/lib/*/kamailio/modules/path.so")
	if err != nil || len(modules) == 0 {
		t.Fatal("kamailio is not installed: run test/setup/packages")
	}
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	port, dir := freePort(t), t.TempDir()
	words = append(words, "PORT", port, "MODULES", filepath.Dir(modules[0]))
	cfg := write(t, dir, "kamailio.cfg", strings.NewReplacer(words...).Replace(string(text)))
	args = append([]string{"-DD", "-E", "-x", "fm", "-X", "fm", "-f", cfg, "-Y", dir, "-w", dir}, args...)
	start(t, dir, "kamailio", args...)
	n, _ := strconv.Atoi(port)
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(n))
	eventually(t, "kamailio listens", func() (bool, any) {
		nc, err := net.Dial("tcp", address.String())
		if err == nil {
			_ = nc.Close()
		}
		return err == nil, err
	})
	return address
}

// baresip and sipp register through a real proxy that adds a Path. Their requests go back through it, over the connection
// that it opened or, once that is closed, over one that we open; what the proxy's connection does is not the phones' end.
func TestPhonesBehindKamailio(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			s := newSystem(t, func(c *config.Config) { c.Telephony.Proxies = []string{"127.0.0.0/8"} })
			proxy := kamailio(t, "sip:"+s.sip(transport).String()+";transport="+transport)
			baresipOver(t, proxy, "udp", "1001", adaPassword)
			u := s.await("1001", "is registered", is("registered"))
			if len(u.Devices) != 1 || u.Devices[0].Transport != transport {
				t.Errorf("devices: %+v", u.Devices)
			}
			ada := telephony.NewAoR("1001", domain)
			path := fmt.Sprintf("<sip:%s;", proxy)
			if all := s.gateway.Bindings(ada); len(all) != 1 || !strings.HasPrefix(all[0].Path, path) || !all[0].Reachable {
				t.Fatalf("bindings: %+v", all)
			}
			answers := func() {
				t.Helper()
				eventually(t, "the phone answers through the proxy", func() (bool, any) {
					all := s.gateway.Reach(t.Context(), ada)
					return len(all) == 1 && all[0].Status == 200, all
				})
			}
			answers()
			if transport == "tcp" { // Kamailio closes idle connections after 3 s here, 2 min by default
				eventually(t, "the proxy's connection is closed", func() (bool, any) {
					open := s.metric(`demarc_sip_connections_open{listener="tcp"}`)
					return open == "0", open
				})
				if all := s.gateway.Bindings(ada); len(all) != 1 || !all[0].Reachable {
					t.Errorf("the phone went with the proxy's connection: %+v", all)
				}
				answers()
			}
			if u := s.user("1001"); u.State != "registered" {
				t.Errorf("support reads %s: %s", u.State, u.Text)
			}
			if err := sipp(t, "register.xml", proxy, "1002", domain, gracePassword); err != nil {
				t.Errorf("sipp through the proxy: %v", err)
			}
		})
	}
}

// metric returns the value of a metric by its name and labels, or nothing.
func (s *system) metric(name string) string {
	s.t.Helper()
	reply, err := http.Get(s.gateway.HealthURL() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}
