package edge_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/resolver"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// frontProxy is a proxy in front of phones: it takes connections and answers what it is to forward.
func frontProxy(t *testing.T, config *tls.Config) (port string, taken func() int) {
	t.Helper()
	return frontProxyThat(t, config, sip.Answer{Status: 299, Reason: "By The Proxy"})
}

func frontProxyThat(t *testing.T, config *tls.Config, answer sip.Answer) (port string, taken func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan *sip.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if config != nil {
				nc = tls.Server(nc, config)
			}
			conns <- sip.NewConn(nc, sip.Config{Transport: telephony.TCP, Handler: func(*wire.Message) sip.Answer {
				return answer
			}})
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for len(conns) > 0 {
			_ = (<-conns).Close()
		}
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, func() int { return len(conns) }
}

// throughProxy is what a phone behind a proxy is to be asked.
func throughProxy(route string) sip.Request {
	return sip.Request{Method: "OPTIONS", URI: "sip:1001@10.0.0.1", Headers: []sip.Header{{Name: "Route", Value: route},
		{Name: "From", Value: "<sip:a@b>;tag=1"}, {Name: "To", Value: "<sip:1001@example.com>"}, {Name: "Call-ID", Value: "c"},
		{Name: "CSeq", Value: "1 OPTIONS"}}}
}

// A proxy's connection closes whenever nothing is to be said: the phones behind it are reached over another one of its, or
// over one that we open to where the Path leads, and to no other place.
func TestProxiesAreFoundAgain(t *testing.T) {
	for _, transport := range []telephony.Transport{telephony.TCP, telephony.TLS} {
		t.Run(string(transport), func(t *testing.T) {
			server, roots := certificate(t)
			if transport == telephony.TCP {
				server = nil
			}
			h := &fake{}
			r := startConfigured(t, h, edge.Config{
				Listeners: []edge.Listener{{Name: "l", Transport: transport, Address: "127.0.0.1:0"}},
				Proxies:   []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, NextHop: names{}, ProxyRoots: roots,
			})
			port, taken := frontProxy(t, server)
			suffix := ":" + port + ";transport=" + string(transport) + ";lr>"
			proxy := r.dialAs("l", transport)
			_, _ = io.WriteString(proxy, message("REGISTER", "TCP", "1001", "Contact: <sip:a@b>"))
			answers(t, proxy, 1)
			all, _ := h.seen()
			gone := all[0].Flow
			_ = proxy.Close()
			eventually(t, "its connection is closed", func() bool { return len(closedOf(h)) == 1 })
			for name, bad := range map[string]string{
				"elsewhere": "<sip:elsewhere" + suffix, "nowhere": "<sip:nowhere" + suffix, "no SIP URI": "<tel:123>",
			} {
				if _, err := r.Send(t.Context(), gone, throughProxy(bad)); !errors.Is(err, edge.ErrFlowGone) {
					t.Errorf("%s: %v", name, err)
				}
			}
			stranger := gone
			stranger.Remote = netip.MustParseAddrPort("192.0.2.1:5060")
			if _, err := r.Send(t.Context(), stranger, throughProxy("<sip:localhost"+suffix)); !errors.Is(err, edge.ErrFlowGone) {
				t.Errorf("a flow that was no proxy's: %v", err)
			}
			if n := taken(); n != 0 {
				t.Errorf("%d connections too many", n)
			}
			for range 3 {
				response, err := r.Send(t.Context(), gone, throughProxy("<sip:localhost"+suffix+", <sip:inner.example;lr>"))
				if err != nil || response.Status != 299 {
					t.Fatalf("%+v %v", response, err)
				}
			}
			if n := taken(); n != 1 {
				t.Errorf("%d connections were opened", n)
			}
		})
	}
}

// names resolves the names of these tests.
type names struct{}

func (names) Resolve(_ context.Context, uri wire.URI) ([]resolver.Hop, error) {
	address, ok := map[string]string{"localhost": "127.0.0.1", "elsewhere": "127.0.0.2"}[string(uri.Host)]
	if !ok {
		return nil, resolver.ErrNoHop
	}
	transport, _ := wire.Param(uri.Params, "transport")
	return []resolver.Hop{{
		Transport: telephony.Transport(transport), Address: netip.AddrPortFrom(netip.MustParseAddr(address), uint16(uri.Port)),
		Host: string(uri.Host), Domain: string(uri.Host),
	}}, nil
}

// A proxy's idle connection is kept open, and a call for a phone behind it takes another one when its own has closed.
func TestCallsTakeAnotherConnectionOfTheProxy(t *testing.T) {
	s := newStub(func(*edge.Signalling, signal.Event) {})
	r := startConfigured(t, s, edge.Config{
		Listeners: everyKind(), Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Limits: edge.Limits{Ping: 50 * time.Millisecond},
	})
	s.run(t, r)
	one, two := r.party("tcp"), r.party("tcp")
	for _, p := range []*party{one, two} {
		p.say(message("REGISTER", "TCP", "1002", "Contact: <sip:1002@a>"))
		p.next()
	}
	first := make([]byte, 4)
	if _, err := io.ReadFull(two, first); err != nil || string(first) != "\r\n\r\n" {
		t.Fatalf("%q %v", first, err)
	}
	all, _ := s.fake.seen()
	_ = one.Close()
	eventually(t, "its connection is closed", func() bool { return len(closedOf(&s.fake)) == 1 })
	aor := telephony.NewAoR("1002", "example.com")
	out := invitation(s.tx(), aor, "sip:1002@10.0.0.1")
	out.Ways = []signal.Way{{Flow: all[0].Flow, AoR: aor, Path: "<sip:proxy.example;lr>"}}
	r.Signalling().Send(out)
	if invite := two.next(); !strings.HasPrefix(invite, "INVITE sip:1002@10.0.0.1 ") {
		t.Error(invite)
	}
}
