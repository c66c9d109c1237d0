package interop_test

import (
	"crypto/md5"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"demarc/internal/config"
)

// sipsak asks over UDP, as monitoring does: an OPTIONS gets its 200, and a REGISTER with the HA1 alone is a registration; one
// with another HA1 is none. Its socket is connected, so that it hears nothing from an address that it has not asked: a listener
// on all addresses answers from each of them.
func TestSipsak(t *testing.T) {
	for bound, asked := range map[string]string{"127.0.0.1:0": "127.0.0.1", "0.0.0.0:0": "127.0.0.2"} {
		t.Run(asked, func(t *testing.T) { sipsakAsks(t, bound, asked) })
	}
}

// sipsakAsks asks a listener that is bound to one address, or to all, at an address.
func sipsakAsks(t *testing.T, bound, asked string) {
	const host = "localhost" // it looks its domain up
	s := newSystem(t, func(c *config.Config) {
		for i := range c.Telephony.Listeners {
			if l := &c.Telephony.Listeners[i]; l.Name == "udp" {
				l.Address = bound
			}
		}
		c.Telephony.Directory = write(t, t.TempDir(), "users.yaml",
			strings.NewReplacer("domain: "+domain, "domain: "+host, "realm: "+domain, "realm: "+host).Replace(users))
	})
	ha1 := func(password string) string {
		sum := md5.Sum([]byte("1001:" + host + ":" + password))
		return hex.EncodeToString(sum[:])
	}
	sipsak := func(args ...string) (string, error) {
		t.Helper()
		to := []string{"-s", "sip:1001@" + host, "-p", netip.AddrPortFrom(netip.MustParseAddr(asked), s.sip("udp").Port()).String(), "-l", freePort(t), "-vv"}
		p := start(t, t.TempDir(), "sipsak", append(to, args...)...)
		err := p.wait()
		return p.output.String(), err
	}
	if said, err := sipsak(); err != nil {
		t.Errorf("OPTIONS: %v\n%s", err, said)
	}
	register := []string{"-U", "-C", "sip:1001@127.0.0.1:9", "-x", "60", "-u", "1001", "--authhash"}
	if said, err := sipsak(append(register, ha1("wrong"))...); err == nil {
		t.Errorf("a wrong HA1 registers:\n%s", said)
	}
	s.await("1001", "was refused, as support reads", func(u user) bool {
		return strings.Contains(u.Timeline[0].Text, "sipsak") && strings.Contains(u.Timeline[0].Text, "was refused")
	})
	if said, err := sipsak(append(register, ha1(adaPassword))...); err != nil {
		t.Errorf("REGISTER: %v\n%s", err, said)
	}
	u := s.await("1001", "is registered", is("registered"))
	if len(u.Devices) != 1 || u.Devices[0].Transport != "udp" || !strings.Contains(u.Devices[0].UserAgent, "sipsak") {
		t.Errorf("devices: %+v", u.Devices)
	}
}
