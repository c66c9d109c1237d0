package client_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"demarc/cloudlink/client"
	"demarc/connector"
)

func TestAddressesInsideAreNotDialled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(nil)
	cfg.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")} // allows nothing of the table
	cfg.Resolver = resolverTo(t, [4]byte{127, 0, 0, 1})
	c := newClient(t, cfg)
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.1.2.3",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1",
		"240.0.0.1", "255.255.255.255", "0.1.2.3", "[fe80::1]", "[fc00::1]", "[fd00::1]", "[ff02::1]", "[fec0::1]",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]",
		"public.rebound.example", // its name server answers 127.0.0.1
	} {
		_, err := c.WhoAmI(t.Context(), "https://"+host+":"+port, "token")
		if !errors.Is(err, client.ErrPrivateAddress) || !errors.Is(err, connector.ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrPrivateAddress", host, err)
		}
		_, err = c.Exchange(t.Context(), "https://"+host+":"+port, "code", strings.Repeat("v", 43))
		if !errors.Is(err, client.ErrPrivateAddress) {
			t.Errorf("%s: the token request got %v", host, err)
		}
	}
}

func TestAllowedPrefixIsDialled(t *testing.T) {
	s, cfg := script(t, body(onePBX))
	if _, err := s.source(newClient(t, cfg)).PBXs(t.Context()); err != nil {
		t.Errorf("an allowed address: %v", err)
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s, cfg := script(t, body(onePBX))
	if _, err := s.source(newClient(t, cfg)).PBXs(t.Context()); err != nil {
		t.Errorf("with a proxy in the environment: %v", err)
	}
}

// resolverTo answers every question for an IPv4 address with one address (RFC 1035 §4).
func resolverTo(t *testing.T, ip [4]byte) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if n > 12 {
				_, _ = conn.WriteTo(answer(buf[:n], ip), from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer turns a query into its reply: for an A question one record, for any other none.
func answer(query []byte, ip [4]byte) []byte {
	end := 12
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root label, type and class
	if end > len(query) {
		return nil
	}
	reply := append([]byte(nil), query[:end]...)
	isA := reply[end-3] == 1 && reply[end-4] == 0
	reply[2], reply[3] = 0x81, 0x80 // a response, recursion available, no error
	copy(reply[4:12], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if isA {
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
		reply = append(reply, ip[:]...)
	}
	return reply
}
