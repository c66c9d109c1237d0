package interop_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// linphone is a linphonec that has a provisioning link and nothing else: account, HA1 and CA come with it.
type linphone struct {
	t   *testing.T
	dir string
	rc  string
}

// newLinphone installs one. It needs its folder under .local/share, reads a DNS name in certificates only (so the
// gateway is localhost), and keeps what it fetched in its configuration file. Ports of -1 are chosen by the kernel.
func newLinphone(t *testing.T, documentURL, caFile string) *linphone {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".local/share/linphone"), 0o700); err != nil {
		t.Fatal(err)
	}
	rc := write(t, dir, "linphonerc", fmt.Sprintf(`[sip]
root_ca=%s
verify_server_certs=1
verify_server_cn=1
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
guess_hostname=0
[net]
firewall_policy=0
[misc]
config-uri=%s
`, caFile, documentURL))
	return &linphone{t: t, dir: dir, rc: rc}
}

// start runs it with what it has kept so far.
func (l *linphone) start() *program {
	l.t.Helper()
	return start(l.t, l.dir, "linphonec", "-c", l.rc, "-S")
}

// baresip starts baresip with a password. It takes the server by address: 1.0.0 asks no name service for localhost.
func baresip(t *testing.T, server netip.AddrPort, caFile, user, domain, password string) *program {
	t.Helper()
	return baresipAs(t, caFile, fmt.Sprintf(
		"<sip:%[1]s@%[2]s;transport=tls>;auth_user=%[1]s;auth_pass=%[3]s;outbound=\"sip:%[4]s;transport=tls\";"+
			"sipnat=outbound;regint=60;mwi=yes\n", user, domain, password, server))
}

// baresipOver starts one without connections of its own (RFC 5626): not every proxy has those.
func baresipOver(t *testing.T, server netip.AddrPort, transport, user, password string) *program {
	t.Helper()
	return baresipAs(t, "", fmt.Sprintf("<sip:%[1]s@%[2]s;transport=%[5]s>;auth_user=%[1]s;auth_pass=%[3]s;"+
		"outbound=\"sip:%[4]s;transport=%[5]s\";regint=60\n", user, domain, password, server, transport))
}

func baresipAs(t *testing.T, caFile, account string) *program {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "config", fmt.Sprintf(`module_path %s
module g711.so
module_app uuid.so
module_app account.so
module_app menu.so
module_app mwi.so
sip_listen 127.0.0.1:0
sip_cafile %s
net_interface 127.0.0.1
`, modules(t), caFile))
	write(t, dir, "contacts", "")
	write(t, dir, "accounts", account)
	return start(t, dir, "baresip", "-f", dir)
}

// modules finds where Debian keeps baresip's modules.
func modules(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"} {
		if _, err := os.Stat(filepath.Join(dir, "account.so")); err == nil {
			return dir
		}
	}
	t.Fatal("baresip's modules are not installed: run test/setup/packages")
	return ""
}

// sipp runs one scenario of testdata once, with further keywords, and returns how it ended.
func sipp(t *testing.T, scenario string, server netip.AddrPort, user, domain, password string, keys ...string) error {
	t.Helper()
	return sippAt(t, "127.0.0.1:"+freePort(t), scenario, server, user, domain, password, keys...)
}

// sippAt does that from an address and port.
func sippAt(t *testing.T, local, scenario string, server netip.AddrPort, user, domain, password string, keys ...string) error {
	t.Helper()
	address, port, _ := net.SplitHostPort(local)
	path, err := filepath.Abs(filepath.Join("testdata", scenario))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{server.String(), "-sf", path, "-m", "1", "-t", "u1", "-i", address, "-p", port, "-s", user,
		"-au", user, "-ap", password, "-key", "domain", domain, "-nostdin", "-trace_err", "-timeout", "30s", "-timeout_error"}
	for i := 0; i+1 < len(keys); i += 2 {
		args = append(args, "-key", keys[i], keys[i+1])
	}
	return start(t, t.TempDir(), "sipp", args...).wait()
}
