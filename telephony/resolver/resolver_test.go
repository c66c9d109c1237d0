package resolver_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"demarc/telephony"
	"demarc/telephony/resolver"
	"demarc/telephony/wire"
)

// zone is what the local DNS server knows, in the form of zone files.
const zone = `
example.org.            NAPTR 20 10 "s" "SIP+D2U"  "" _sip._udp.example.org.
example.org.            NAPTR 10 20 "s" "SIP+D2T"  "" _sip._tcp.example.org.
example.org.            NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.example.org.
example.org.            NAPTR 5  10 "s" "SIP+D2S"  "" _sip._sctp.example.org.
example.org.            NAPTR 1  10 "u" "E2U+sip"  "!^.*$!sip:x@y!" .
_sips._tcp.example.org. SRV 20 0 5061 backup.example.org.
_sips._tcp.example.org. SRV 10 0 5071 Main.example.org.
_sip._tcp.example.org.  SRV 10 0 5060 main.example.org.
_sip._udp.example.org.  SRV 10 0 5060 main.example.org.
main.example.org.       A 192.0.2.1
main.example.org.       AAAA 2001:db8::1
backup.example.org.     A 192.0.2.2
srvonly.test.           TXT "no NAPTR"
_sip._udp.srvonly.test. SRV 10 0 5080 main.example.org.
plain.test.             A 192.0.2.9
_sip._udp.none.test.    SRV 0 0 0 .
none.test.              A 192.0.2.8
_sip._udp.fair.test.    SRV 10 90 5060 heavy.fair.test.
_sip._udp.fair.test.    SRV 10 10 5060 light.fair.test.
_sip._udp.fair.test.    SRV 20 0  5060 last.fair.test.
heavy.fair.test.        A 192.0.2.31
light.fair.test.        A 192.0.2.32
last.fair.test.         A 192.0.2.33
alias.test.             CNAME plain.test.
_sip._udp.half.test.    SRV 10 0 5060 broken.half.test.
_sip._udp.half.test.    SRV 20 0 5060 plain.test.
_sip._udp.dead.test.    SRV 10 0 5060 broken.half.test.
no6.test.               A 192.0.2.41
`

// twoSockets returns a UDP and a TCP socket on one port: the kernel chooses the first, and somebody may have the second.
func twoSockets(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		_ = pc.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// nameServer serves the zone over UDP and TCP; answers over UDP for names that hold "long" are cut.
func nameServer(t *testing.T) string {
	t.Helper()
	records := make(map[string][]dns.RR)
	parser := dns.NewZoneParser(strings.NewReader("$TTL 60\n"+zone), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		key := strings.ToLower(rr.Header().Name) + dns.TypeToString[rr.Header().Rrtype]
		records[key] = append(records[key], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		rr, _ := dns.NewRR(fmt.Sprintf("long.test. 60 A 198.51.100.%d", i+1))
		records["long.test.A"] = append(records["long.test.A"], rr)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := strings.ToLower(q.Question[0].Name)
		switch {
		case strings.HasPrefix(name, "broken."), name == "no6.test." && q.Question[0].Qtype == dns.TypeAAAA:
			m.Rcode = dns.RcodeServerFailure
		case name == "alias.test." && q.Question[0].Qtype == dns.TypeA:
			m.Answer = append(records["alias.test.CNAME"], records["plain.test.A"]...)
		default:
			m.Answer = records[name+dns.TypeToString[q.Question[0].Qtype]]
		}
		if len(m.Answer) == 0 && m.Rcode == 0 {
			m.Rcode = dns.RcodeNameError
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && strings.HasPrefix(name, "long.") && len(m.Answer) > 0 {
			m.Truncated, m.Answer = true, m.Answer[:1]
		}
		_ = w.WriteMsg(m)
	})
	pc, l := twoSockets(t)
	for _, server := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(ended); _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown(); <-ended })
	}
	return pc.LocalAddr().String()
}

func uri(t *testing.T, text string) wire.URI {
	t.Helper()
	u, ok := wire.ParseURI([]byte(text))
	if !ok {
		t.Fatalf("bad URI %s", text)
	}
	return u
}

func TestResolve(t *testing.T) {
	r := resolver.New(resolver.Config{Servers: []string{nameServer(t)}})
	const main6, main4 = "[2001:db8::1]", "192.0.2.1"
	for _, c := range []struct{ uri, want string }{
		{"sip:a@192.0.2.7", "udp 192.0.2.7:5060"},
		{"sips:a@192.0.2.7", "tls 192.0.2.7:5061"},
		{"sip:a@[2001:db8::7]:5070;transport=TCP", "tcp [2001:db8::7]:5070"},
		{"sip:a@plain.test:5090", "udp 192.0.2.9:5090"},
		{"sips:a@plain.test:5090", "tls 192.0.2.9:5090"},
		{"sip:a@plain.test", "udp 192.0.2.9:5060"},
		{"sip:a@plain.test;transport=tls", "tls 192.0.2.9:5061"},
		{"sips:a@plain.test;transport=tcp", "tls 192.0.2.9:5061"},
		{"sip:a@alias.test", "udp 192.0.2.9:5060"},
		{"sip:a@srvonly.test", "udp " + main6 + ":5080 udp " + main4 + ":5080"},
		{"sip:a@none.test", "udp 192.0.2.8:5060"},
		{"sip:a@half.test;transport=udp", "udp 192.0.2.9:5060"}, // of two servers one cannot be found
		{"sip:a@no6.test:5060", "udp 192.0.2.41:5060"},          // a DNS server that does not know of IPv6
		{"sip:a@Example.org.", "tls " + main6 + ":5071 tls " + main4 + ":5071 tls 192.0.2.2:5061 " +
			"tcp " + main6 + ":5060 tcp " + main4 + ":5060 udp " + main6 + ":5060 udp " + main4 + ":5060"},
		{"sips:a@example.org", "tls " + main6 + ":5071 tls " + main4 + ":5071 tls 192.0.2.2:5061"},
		{"sip:a@example.org;transport=udp", "udp " + main6 + ":5060 udp " + main4 + ":5060"},
	} {
		hops, err := r.Resolve(t.Context(), uri(t, c.uri))
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		var got []string
		for _, h := range hops {
			got = append(got, string(h.Transport)+" "+h.Address.String())
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.uri, text, c.want)
		}
	}
}

// The certificate has to be for what was asked, not for what DNS led to.
func TestResolveKeepsTheDomain(t *testing.T) {
	r := resolver.New(resolver.Config{Servers: []string{nameServer(t)}})
	hops, err := r.Resolve(t.Context(), uri(t, "sips:a@EXAMPLE.org"))
	if err != nil || hops[0].Domain != "example.org" || hops[0].Host != "main.example.org" {
		t.Errorf("%+v %v", hops, err)
	}
}

func TestResolveFailures(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	good := nameServer(t)
	r := resolver.New(resolver.Config{Servers: []string{good}, Transports: []telephony.Transport{telephony.UDP}})
	for text, want := range map[string]error{
		"sip:a@nowhere.test": resolver.ErrNoHop, "sips:a@plain.test;transport=udp": resolver.ErrNoHop,
		"sip:a@plain.test;transport=tls": resolver.ErrNoHop, "sip:a@broken.test": nil,
		"sip:a@dead.test": nil,
	} {
		if hops, err := r.Resolve(t.Context(), uri(t, text)); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v %v", text, hops, err)
		}
	}
	slow := resolver.New(resolver.Config{
		Servers: []string{silent.LocalAddr().String(), good}, Timeout: 500 * time.Millisecond,
		Transports: []telephony.Transport{telephony.UDP},
	})
	if hops, err := slow.Resolve(t.Context(), uri(t, "sip:a@plain.test")); err != nil || len(hops) != 1 {
		t.Errorf("with the second server: %v %v", hops, err)
	}
	if hops, err := slow.Resolve(t.Context(), uri(t, "sip:a@long.test")); err != nil || len(hops) != 32 {
		t.Errorf("an answer that was cut: %d hops, %v", len(hops), err)
	}
}

// Two servers of one priority share by their weights, and the spare one is always last.
func TestResolveByWeight(t *testing.T) {
	r := resolver.New(resolver.Config{Servers: []string{nameServer(t)}})
	first := make(map[string]int)
	for range 300 {
		hops, err := r.Resolve(t.Context(), uri(t, "sip:a@fair.test;transport=udp"))
		if err != nil || len(hops) != 3 || hops[2].Host != "last.fair.test" {
			t.Fatalf("%+v %v", hops, err)
		}
		first[hops[0].Host]++
	}
	if light := first["light.fair.test"]; light < 5 || light > 80 { // 30 are expected; this far off in once in a million
		t.Errorf("%v", first)
	}
}
