package media_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"demarc/telephony/media"
)

// Ports for tests that count on every one of theirs. They are below those that the kernel gives to anybody who asks for none.
const firstOwn, lastOwn = 7000, 7999

// ownPorts returns so many pairs of ports that nobody else has until the test ends, another run of these tests beside this one neither:
// who has a pair of ports listens on the first of them over TCP, where no media is.
func ownPorts(t *testing.T, pairs int) media.PortRange {
	t.Helper()
	most := (lastOwn + 1 - firstOwn) / 2
	for from := range most {
		first := firstOwn + 2*((from+startAt)%(most-pairs+1))
		if release, ok := reserve(first, pairs); ok {
			t.Cleanup(release)
			return media.PortRange{First: uint16(first), Last: uint16(first + 2*pairs - 1)}
		}
	}
	t.Fatalf("no %d pairs in a row are free from %d to %d", pairs, firstOwn, lastOwn)
	return media.PortRange{}
}

// startAt is where this run begins to look.
var startAt = rand.IntN(lastOwn)

func reserve(first, pairs int) (release func(), ok bool) {
	var held []io.Closer
	release = func() {
		for _, h := range held {
			_ = h.Close()
		}
	}
	for port := first; port < first+2*pairs; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if port%2 == 0 {
			l, err := net.Listen("tcp4", address)
			if err != nil {
				release()
				return nil, false
			}
			held = append(held, l)
		}
		socket, err := net.ListenPacket("udp4", address)
		if err != nil {
			release()
			return nil, false
		}
		_ = socket.Close()
	}
	return release, true
}
