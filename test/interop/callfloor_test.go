package interop_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
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

func newCallFloor(t *testing.T, withBrowser bool) *callFloor {
	t.Helper()
	users := strings.Builder{}
	users.WriteString("pbx: {domain: " + domain + ", realm: " + domain + "}\nusers:\n")
	for n := range mostPeople {
		fmt.Fprintf(&users, "  - {extension: \"%d\", name: Person %d, email: p%d@pbx.test, password: %s}\n",
			firstPerson+n, n, n, theirPassword)
	}
	f := &callFloor{system: newGatewayOf(t, users.String())}
	f.system.admin.open(f.system.signInLink())
	f.system.admin.press("", nil)
	if withBrowser {
		f.browser, f.pages = chromium(t, f.system), phonePages(t)
	}
	return f
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

// person returns the extension of somebody who has no phone yet.
func (f *callFloor) person() string { return fmt.Sprint(firstPerson - 1 + int(f.people.Add(1))) }

// seat starts a phone of a model for a person who has no other one, and waits until it is registered.
func (f *callFloor) seat(t *testing.T, m model, hertz int) seat {
	t.Helper()
	extension := f.person()
	s := seat{extension: extension, hertz: float64(hertz)}
	switch m.program {
	case "baresip":
		s.caller = f.baresip(t, m, extension, hertz)
	case "linphone":
		s.caller = f.linphone(t, m, extension, hertz)
	case "page":
		server := fmt.Sprintf("wss://localhost:%d/sip", f.system.sip("wss").Port())
		s.caller = newWebphone(t, f.browser, f.pages, server, float64(hertz), extension, theirPassword)
	default:
		t.Fatalf("%s is no program of the test's", m.program)
	}
	f.tell(t, extension)
	s.awaitRegistered()
	return s
}

// tell logs the messages of a person's phones when the test fails.
func (f *callFloor) tell(t *testing.T, extension string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		var trace struct {
			Messages []struct {
				Inbound bool
				Text    string
			}
		}
		f.system.admin.call(http.MethodGet, "/v1/trace?of="+extension+"@"+domain, nil, &trace)
		for _, m := range trace.Messages {
			t.Logf("%s, from the phone: %v\n%s", extension, m.Inbound, m.Text)
		}
	})
}

func (f *callFloor) baresip(t *testing.T, m model, extension string, hertz int) caller {
	transport, encryption := "tls", map[string]string{"sdes": "srtp-mand", "dtls": "dtls_srtp"}[m.media]
	if m.media == "plain" {
		transport = "udp"
	}
	account := fmt.Sprintf("<sip:%[1]s@%[2]s;transport=%[3]s>;auth_user=%[1]s;auth_pass=%[4]s;"+
		"outbound=\"sip:%[5]s;transport=%[3]s\";sipnat=outbound;regint=60;mediaenc=%[6]s",
		extension, domain, transport, theirPassword, f.system.sip(transport), encryption)
	if m.codecs != "" {
		account += ";audio_codecs=" + m.codecs
	}
	return newBarephone(t, hertz, account, "sip_listen 127.0.0.1:0", "sip_cafile "+f.system.caFile)
}

func (f *callFloor) linphone(t *testing.T, m model, extension string, hertz int) caller {
	transport, encryption := "tls", map[string]string{"sdes": "srtp", "dtls": "dtls", "plain": "none"}[m.media]
	mandatory := 1
	if m.media == "plain" {
		transport, mandatory = "udp", 0 // it drops all plain packets, its own too, where protected ones are mandatory
	}
	hash := md5.Sum([]byte(extension + ":" + domain + ":" + theirPassword))
	server := fmt.Sprintf("sip:localhost:%d;transport=%s", f.system.sip(transport).Port(), transport)
	return newLinecaller(t, float64(hertz), fmt.Sprintf("sip_port=-1\nsip_tcp_port=-1\nroot_ca=%s\ndefault_proxy=0\n"+
		"media_encryption=%s\nmedia_encryption_mandatory=%d", f.system.caFile, encryption, mandatory),
		fmt.Sprintf("[proxy_0]\nreg_proxy=<%[1]s>\nreg_route=<%[1]s;lr>\nreg_identity=sip:%[2]s@%[3]s\nrealm=%[3]s\n"+
			"reg_expires=60\nreg_sendregister=1\npublish=0\navpf=0", server, extension, domain),
		fmt.Sprintf("[auth_info_0]\nusername=%[1]s\nuserid=%[1]s\nha1=%[2]s\nrealm=%[3]s\ndomain=%[3]s\nalgorithm=MD5",
			extension, hex.EncodeToString(hash[:]), domain))
}
