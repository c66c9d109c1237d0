package interop_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"demarc/internal/config"
)

// caller is a phone that makes and takes calls. What is done is done to its newest call.
type caller interface {
	awaitRegistered()
	dial(uri string)
	awaitRing()
	answer()
	awaitTalk(calls int) // so many of its calls have been answered so far
	hold()
	resume()
	press(digits string)
	refer(uri string)
	hangup()
	awaitEnd()
	heard() (sound, error)
}

// callFloor is a gateway, a browser, and as many people as tests ask for: tests that run beside each other share it.
type callFloor struct {
	system  *system
	browser context.Context
	pages   string
	people  atomic.Int32
}

const (
	mostPeople    = 200
	firstPerson   = 2000
	theirPassword = "everybody-has-the-same"
)

func newCallFloor(t *testing.T, withBrowser bool, change ...func(*config.Config)) *callFloor {
	t.Helper()
	f := &callFloor{system: newGatewayOf(t, manyPeople(), change...)}
	f.system.admin.open(f.system.signInLink())
	f.system.admin.press("", nil)
	if withBrowser {
		f.browser, f.pages = chromium(t, f.system), phonePages(t)
	}
	return f
}

// manyPeople is the users file of a call floor.
func manyPeople() string {
	users := strings.Builder{}
	users.WriteString("pbx: {domain: " + domain + ", realm: " + domain + "}\nusers:\n")
	for n := range mostPeople {
		fmt.Fprintf(&users, "  - {extension: \"%d\", name: Person %d, email: p%d@pbx.test, password: %s}\n",
			firstPerson+n, n, n, theirPassword)
	}
	return users.String()
}

// seat is a phone at work, and who has it.
type seat struct {
	caller
	extension string
	hertz     float64
}

func (s seat) uri() string { return "sip:" + s.extension + "@" + domain }

// model names a program and how its media is protected.
type model struct {
	program string // baresip, linphone or page
	media   string // sdes, dtls, or plain: that one is over UDP, the others over TLS
	codecs  string // of baresip's; empty: all
}

// g711 is a baresip that needs no other codec for mixing, so that it is not re-INVITEd: 1.0.0 writes nothing down after that.
var g711 = model{"baresip", "sdes", "PCMA/8000/1,PCMU/8000/1"}

func (m model) String() string {
	if m.program == "page" {
		return m.program
	}
	return m.program + "-" + m.media
}

func (m model) transport() string {
	if m.media == "plain" {
		return "udp"
	}
	return "tls"
}

// person returns the extension of somebody who has no phone yet.
func (f *callFloor) person() string { return fmt.Sprint(firstPerson - 1 + int(f.people.Add(1))) }

// seat starts a phone of a model for a person who has no other one, and waits until it is registered.
func (f *callFloor) seat(t *testing.T, m model, hertz int) seat {
	t.Helper()
	if m.program != "page" {
		return f.seatAt(t, f.system.sip(m.transport()), m, hertz)
	}
	extension := f.person()
	server := fmt.Sprintf("wss://localhost:%d/sip", f.system.sip("wss").Port())
	return f.sits(t, extension, hertz, newWebphone(t, f.browser, f.pages, server, float64(hertz), extension, theirPassword))
}

// seatAt starts a phone whose server is another one than the gateway, a proxy in front of it.
func (f *callFloor) seatAt(t *testing.T, server netip.AddrPort, m model, hertz int) seat {
	t.Helper()
	extension := f.person()
	switch m.program {
	case "baresip":
		return f.sits(t, extension, hertz, f.baresip(t, server, m, extension, hertz))
	case "linphone":
		return f.sits(t, extension, hertz, f.linphone(t, server, m, extension, hertz))
	}
	t.Fatalf("%s is no program of the test's", m.program)
	return seat{}
}

// sits waits until a phone is registered.
func (f *callFloor) sits(t *testing.T, extension string, hertz int, phone caller) seat {
	t.Helper()
	f.tell(t, extension)
	phone.awaitRegistered()
	return seat{caller: phone, extension: extension, hertz: float64(hertz)}
}

// tell logs the messages of a person's phones when the test fails.
func (f *callFloor) tell(t *testing.T, extension string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, m := range f.messages(extension) {
			t.Logf("%s, from the phone: %v\n%s", extension, m.Inbound, m.Text)
		}
	})
}

func (f *callFloor) baresip(t *testing.T, server netip.AddrPort, m model, extension string, hertz int) caller {
	encryption := map[string]string{"sdes": "srtp-mand", "dtls": "dtls_srtp"}[m.media]
	account := fmt.Sprintf("<sip:%[1]s@%[2]s;transport=%[3]s>;auth_user=%[1]s;auth_pass=%[4]s;"+
		"outbound=\"sip:%[5]s;transport=%[3]s\";regint=60;mediaenc=%[6]s",
		extension, domain, m.transport(), theirPassword, server, encryption)
	if server == f.system.sip(m.transport()) { // not every proxy has connections of the phone's own (RFC 5626)
		account += ";sipnat=outbound"
	}
	if m.codecs != "" {
		account += ";audio_codecs=" + m.codecs
	}
	return newBarephone(t, hertz, account, "sip_listen 127.0.0.1:0", "sip_cafile "+f.system.caFile)
}

func (f *callFloor) linphone(t *testing.T, at netip.AddrPort, m model, extension string, hertz int) caller {
	encryption, mandatory := map[string]string{"sdes": "srtp", "dtls": "dtls", "plain": "none"}[m.media], 1
	if m.media == "plain" {
		mandatory = 0 // it drops all plain packets, its own too, where protected ones are mandatory
	}
	hash := md5.Sum([]byte(extension + ":" + domain + ":" + theirPassword))
	server := fmt.Sprintf("sip:localhost:%d;transport=%s", at.Port(), m.transport())
	return newLinecaller(t, float64(hertz), fmt.Sprintf("sip_port=-1\nsip_tcp_port=-1\nroot_ca=%s\ndefault_proxy=0\n"+
		"media_encryption=%s\nmedia_encryption_mandatory=%d", f.system.caFile, encryption, mandatory),
		fmt.Sprintf("[proxy_0]\nreg_proxy=<%[1]s>\nreg_route=<%[1]s;lr>\nreg_identity=sip:%[2]s@%[3]s\nrealm=%[3]s\n"+
			"reg_expires=60\nreg_sendregister=1\npublish=0\navpf=0", server, extension, domain),
		fmt.Sprintf("[auth_info_0]\nusername=%[1]s\nuserid=%[1]s\nha1=%[2]s\nrealm=%[3]s\ndomain=%[3]s\nalgorithm=MD5",
			extension, hex.EncodeToString(hash[:]), domain))
}
