package transport_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"demarc/telephony/edge/transport"
)

// listen opens a socket of the address's own family, which 0.0.0.0 would not get of package net else, and one of both for [::].
func listen(t testing.TB, address string) (*net.UDPConn, *transport.Datagrams) {
	t.Helper()
	at := netip.MustParseAddrPort(address)
	conn, err := net.ListenUDP(map[bool]string{true: "udp4", false: "udp"}[at.Addr().Is4()], net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	d, err := transport.NewDatagrams(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, d
}

// gather reads until so many datagrams have come.
func gather(t *testing.T, d *transport.Datagrams, many int) (texts []string, from []netip.AddrPort) {
	t.Helper()
	for len(texts) < many {
		n, err := d.Read()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			b, one, _ := d.At(i)
			texts, from = append(texts, string(b)), append(from, one)
		}
	}
	return texts, from
}

// More datagrams than one call takes arrive whole, in order, and from where they were sent, whichever family the sockets have.
func TestDatagramsGoBothWays(t *testing.T) {
	for _, c := range []struct{ here, there, seenAs string }{
		{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
		{"[::]:0", "127.0.0.1:0", "127.0.0.1"},
		{"[::]:0", "[::1]:0", "::1"},
	} {
		t.Run(c.here+" "+c.there, func(t *testing.T) {
			conn, here := listen(t, c.here)
			thereConn, there := listen(t, c.there)
			to := netip.AddrPortFrom(netip.MustParseAddr(c.seenAs), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			var sent []string
			out := transport.NewDepartures(there.Write, func(d transport.Departure) { t.Error(d.Err) })
			out.Hold()
			for i := range 75 {
				size := 1 + i*10
				if i == 40 {
					size = 60_000 // more than is held for others
				}
				sent = append(sent, fmt.Sprintf("%0*d", size, i))
				out.Send([]byte(sent[i]), to, netip.Addr{})
			}
			out.Release()
			got, from := gather(t, here, len(sent))
			if !slices.Equal(got, sent) {
				t.Fatalf("%d datagrams came, not those that were sent", len(got))
			}
			back := netip.AddrPortFrom(netip.MustParseAddr(c.seenAs), thereConn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			if from[0] != back {
				t.Fatalf("they came from %s, want %s", from[0], back)
			}
			if failed := here.Write([]transport.Departure{{B: []byte("back"), To: from[0]}}); failed != 0 {
				t.Fatal("the answer was not taken")
			}
			if got, _ := gather(t, there, 1); got[0] != "back" {
				t.Errorf("%q came back", got[0])
			}
		})
	}
}

// One datagram that the system does not take is told, and stops none of the others.
func TestDatagramThatTheSystemRefuses(t *testing.T) {
	conn, d := listen(t, "127.0.0.1:0")
	self := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	failed := d.Write([]transport.Departure{
		{B: []byte("one"), To: self}, {B: []byte("lost"), To: netip.MustParseAddrPort("[::1]:9")}, {B: []byte("two"), To: self},
	})
	if failed != 1 {
		t.Errorf("%d were refused, want 1", failed)
	}
	if got, _ := gather(t, d, 2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q came", got)
	}
}

func TestClosedSocketSaysSo(t *testing.T) {
	conn, d := listen(t, "127.0.0.1:0")
	self := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading says %v", err)
	}
	if failed := d.Write([]transport.Departure{{B: []byte("x"), To: self}}); failed != 1 {
		t.Errorf("%d were refused, want 1", failed)
	}
	if _, err := transport.NewDatagrams(conn); err == nil {
		t.Error("a closed socket was taken over")
	}
}
