package transport_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"demarc/telephony/edge/transport"
)

// asker connects to a port of a host: from then on it hears nobody but that very address.
func asker(t testing.TB, host string, port uint16) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// A socket on all addresses tells to which of them each datagram of a batch came, and lets each answer leave from there.
func TestAnswersLeaveFromWhereTheyWereAsked(t *testing.T) {
	for address, hosts := range map[string][]string{
		"0.0.0.0:0": {"127.0.0.2", "127.0.0.1", "127.0.0.3"},
		"[::]:0":    {"127.0.0.2", "::1", "127.0.0.1", "127.0.0.3"},
	} {
		t.Run(address, func(t *testing.T) {
			conn, d := listen(t, address)
			if !d.Everywhere() {
				t.Fatal("it does not know that it is on all addresses")
			}
			var askers []*net.UDPConn
			for _, host := range hosts {
				c := asker(t, host, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
				if _, err := c.Write([]byte(host)); err != nil {
					t.Fatal(err)
				}
				askers = append(askers, c)
			}
			var answers []transport.Departure
			for len(answers) < len(hosts) {
				n, err := d.Read()
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					b, from, local := d.At(i)
					if local.String() != string(b) {
						t.Errorf("what went to %s came to %s", b, local)
					}
					answers = append(answers, transport.Departure{B: append([]byte(nil), b...), To: from, From: local})
				}
			}
			if failed := d.Write(answers); failed != 0 {
				t.Fatalf("%d answers were not taken: %v", failed, answers)
			}
			for i, c := range askers {
				room := make([]byte, 100)
				n, err := c.Read(room)
				if err != nil || string(room[:n]) != hosts[i] {
					t.Errorf("who asked %s read %q, %v", hosts[i], room[:n], err)
				}
			}
		})
	}
}

// What is to leave from an address that is not here any more is told, with why; the same socket's next datagram without one leaves.
func TestAnAddressThatHasGone(t *testing.T) {
	for address, gone := range map[string][]string{"0.0.0.0:0": {"192.0.2.7"}, "[::]:0": {"192.0.2.7", "2001:db8::7"}} {
		for _, from := range gone {
			conn, d := listen(t, address)
			there, other := listen(t, map[bool]string{true: "127.0.0.1:0", false: "[::1]:0"}[netip.MustParseAddr(from).Is4()])
			to := there.LocalAddr().(*net.UDPAddr).AddrPort()
			all := []transport.Departure{{B: []byte("lost"), To: to, From: netip.MustParseAddr(from)}, {B: []byte("sent"), To: to}}
			if failed := d.Write(all); failed != 1 || !errors.Is(all[0].Err, unix.EINVAL) && !errors.Is(all[0].Err, unix.ENETUNREACH) || all[1].Err != nil {
				t.Errorf("%s, from %s: %d were refused, %v and %v", address, from, failed, all[0].Err, all[1].Err)
			}
			if got, _ := gather(t, other, 1); got[0] != "sent" {
				t.Errorf("%q came", got[0])
			}
			_ = conn.Close()
		}
	}
}

// A socket that is bound to one address has none to tell, and leaves from it whatever is asked of it.
func TestSocketOfOneAddress(t *testing.T) {
	conn, d := listen(t, "127.0.0.2:0")
	if d.Everywhere() {
		t.Fatal("it takes itself to be on all addresses")
	}
	c := asker(t, "127.0.0.2", conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	if _, err := c.Write([]byte("ask")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); err != nil {
		t.Fatal(err)
	}
	b, from, local := d.At(0)
	if local.IsValid() {
		t.Errorf("it tells of %s", local)
	}
	if failed := d.Write([]transport.Departure{{B: b, To: from, From: netip.MustParseAddr("127.0.0.3")}}); failed != 0 {
		t.Fatal("the answer was not taken")
	}
	if n, err := c.Read(make([]byte, 10)); n != 3 || err != nil {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

// BenchmarkDatagram is one datagram there and back in batches of 32, client included. It shows what the control data of a socket on
// all addresses costs.
func BenchmarkDatagram(b *testing.B) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		b.Run(address, func(b *testing.B) {
			here, there := echo(b, address)
			all := make([]transport.Departure, 32)
			for i := range all {
				all[i] = transport.Departure{B: make([]byte, 500), To: here}
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(all) {
				if there.Write(all) > 0 {
					b.Fatal(all)
				}
				for got := 0; got < len(all); {
					n, err := there.Read()
					if err != nil {
						b.Fatal(err)
					}
					got += n
				}
			}
		})
	}
}

// echo returns a socket that sends everything back, and one to ask it with.
func echo(b *testing.B, address string) (netip.AddrPort, *transport.Datagrams) {
	conn, d := listen(b, address)
	_ = conn.SetDeadline(time.Time{})
	done := make(chan struct{})
	b.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		all := make([]transport.Departure, 0, 32)
		for {
			n, err := d.Read()
			if err != nil {
				return
			}
			for i := range n {
				text, from, local := d.At(i)
				all = append(all, transport.Departure{B: text, To: from, From: local})
			}
			d.Write(all)
			all = all[:0]
		}
	}()
	loopback := netip.MustParseAddr("127.0.0.1")
	if netip.MustParseAddrPort(address).Addr().Is6() {
		loopback = netip.IPv6Loopback()
	}
	mine, there := listen(b, netip.AddrPortFrom(loopback, 0).String())
	_ = mine.SetDeadline(time.Time{})
	return netip.AddrPortFrom(loopback, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()), there
}
