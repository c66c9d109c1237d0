package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"demarc/internal/config"
)

// rtpengine starts the relay, in user space, and returns where it takes commands.
func rtpengine(t *testing.T, more ...string) string {
	t.Helper()
	dir, control := t.TempDir(), "127.0.0.1:"+freePort(t)
	ports := enginePorts.next()
	settings := write(t, dir, "rtpengine.conf", "[rtpengine]\n") // instead of Debian's, whose fixed ports only one process can have
	start(t, dir, "rtpengine", append(more, "--config-file="+settings, "--foreground", "--log-stderr", "--log-level=4", "--table=-1", "--num-threads=2",
		"--interface=127.0.0.1", "--listen-ng="+control, fmt.Sprint("--port-min=", ports.first), fmt.Sprint("--port-max=", ports.last),
		"--pidfile="+filepath.Join(dir, "pid"))...)
	nc, err := net.Dial("udp", control)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	eventually(t, "rtpengine answers", func() (bool, any) {
		_, _ = nc.Write([]byte("1 d7:command4:pinge"))
		_ = nc.SetReadDeadline(time.Now().Add(time.Second))
		answer := make([]byte, 100)
		n, err := nc.Read(answer)
		return strings.Contains(string(answer[:n]), "pong"), err
	})
	return control
}

// side is how the proxy speaks with the gateway.
type side struct {
	transport, flags, profile string
	setup                     string // its role in DTLS when it is called: passive has us begin the handshake
}

var sides = map[string]side{
	"RTP":          {"udp", "RTP/AVP", "RTP/AVP", ""},
	"SDES":         {"tls", "RTP/SAVP DTLS=off", "RTP/SAVP", ""},
	"DTLS":         {"tls", "UDP/TLS/RTP/SAVP SDES-off", "UDP/TLS/RTP/SAVP", ""},
	"passive DTLS": {"tls", "UDP/TLS/RTP/SAVP SDES-off", "UDP/TLS/RTP/SAVP", "passive"},
}

// engineProxy starts Kamailio with rtpengine in front of the gateway. Phones behind it have plain RTP over UDP.
func engineProxy(t *testing.T, f *callFloor, s side) netip.AddrPort {
	t.Helper()
	upstream, listens := f.system.sip(s.transport), "tcp"
	var args []string
	if s.transport == "tls" {
		listens, args = "tls", []string{"-A", "WITH_TLS"}
	}
	var engine []string
	if s.setup == "passive" {
		engine = []string{"--dtls-passive"}
	}
	certificate, key := selfSigned(t)
	return kamailioOf(t, "kamailio-media.cfg", args, "UPSTREAMS_NUMBER", fmt.Sprint(upstream.Port()), "UPSTREAM",
		fmt.Sprintf("sip:%s;transport=%s", upstream, s.transport), "TRANSPORT", listens,
		"PROFILE", s.flags, "ENGINE", rtpengine(t, engine...), "CERTIFICATE", certificate, "KEY", key)
}

// selfSigned writes a certificate that nobody has to believe: the proxy opens the connection.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return write(t, dir, "proxy.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))),
		write(t, dir, "proxy.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}

// Phones behind Kamailio, which puts rtpengine into their media, call phones that are registered here, and are called by
// them: the tones arrive, our requests follow the route that the proxy recorded, and where the proxy comes over TLS the
// media between it and us is protected.
func TestPhonesBehindRTPEngine(t *testing.T) {
	linphone, baresip := model{"linphone", "plain", ""}, model{"baresip", "plain", ""}
	direct := model{"linphone", "sdes", ""}
	for name, s := range sides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newCallFloor(t, false, func(c *config.Config) { c.Telephony.Proxies = []string{"127.0.0.0/8"} })
			proxy := engineProxy(t, f, s)
			t.Run("a phone behind it calls", func(t *testing.T) {
				t.Parallel()
				from, to := f.seatAt(t, proxy, linphone, callerTone), f.seat(t, direct, calleeTone)
				talk(t, from, to)
				presses(t, from, to, "19#")
				presses(t, to, from, "*0")
				holds(t, from, to)
				holds(t, to, from)
				to.hangup()
				from.awaitEnd()
				f.passedThrough(t, proxy, s.profile, "", from.extension, "INVITE", "BYE")
			})
			t.Run("a phone behind it is called", func(t *testing.T) {
				t.Parallel()
				from, to := f.seat(t, direct, callerTone), f.seatAt(t, proxy, baresip, calleeTone)
				offered := strings.TrimPrefix(s.profile, "UDP/TLS/") // a phone that has not called yet is offered SDES over TLS
				if s.setup != "" {
					to.dial(from.uri())
					from.awaitRing()
					to.hangup()
					from.awaitEnd()
					offered = s.profile
				}
				talk(t, from, to)
				presses(t, from, to, "19#")
				to.hangup()
				from.awaitEnd()
				f.passedThrough(t, proxy, offered, s.setup, to.extension, "ACK")
			})
		})
	}
}

var (
	audioLine  = regexp.MustCompile(`m=audio (\d+) (\S+)`)
	inDialog   = regexp.MustCompile(`(?m)^To: .*;tag=`)
	firstRoute = regexp.MustCompile(`(?m)^Route: <sip:([^;>]+)`)
)

// passedThrough checks the messages between the gateway and a phone behind the proxy: every description that came is
// rtpengine's, one has that role in DTLS, and each of the methods was sent within a dialog, to the proxy first.
func (f *callFloor) passedThrough(t *testing.T, proxy netip.AddrPort, profile, setup, extension string, methods ...string) {
	t.Helper()
	described, inRole, routed := 0, setup == "", map[string]bool{}
	for _, m := range f.messages(extension) {
		method, _, _ := strings.Cut(m.Text, " ")
		if !m.Inbound && method != "SIP/2.0" && inDialog.MatchString(m.Text) {
			if first := firstRoute.FindStringSubmatch(m.Text); first == nil || first[1] != proxy.String() {
				t.Errorf("not to the proxy first:\n%s", m.Text)
			}
			routed[method] = true
		}
		line := audioLine.FindStringSubmatch(m.Text)
		if !m.Inbound || line == nil {
			continue
		}
		described++
		inRole = inRole || strings.Contains(m.Text, "a=setup:"+setup)
		if port, _ := strconv.Atoi(line[1]); port < enginePorts.first || port > enginePorts.last || !strings.HasPrefix(line[2], profile) {
			t.Errorf("no description of rtpengine's:\n%s", m.Text)
		}
	}
	if described == 0 {
		t.Errorf("%s has described nothing", extension)
	}
	if !inRole {
		t.Errorf("never did it say a=setup:%s", setup)
	}
	for _, method := range methods {
		if !routed[method] {
			t.Errorf("no %s went along the recorded route", method)
		}
	}
}

// traced is a message of a person's phones.
type traced struct {
	Inbound bool
	Text    string
}

// messages returns what the trace kept of a person's phones.
func (f *callFloor) messages(extension string) []traced {
	var trace struct{ Messages []traced }
	f.system.admin.call(http.MethodGet, "/v1/trace?of="+extension+"@"+domain, nil, &trace)
	return trace.Messages
}
