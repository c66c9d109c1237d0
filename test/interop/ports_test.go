package interop_test

import (
	"net"
	"strconv"
	"sync/atomic"
	"testing"
)

// ports are those of 127.0.0.1 from the first to the last, for one program. Linphone and rtpengine bind a
// port that another process has without a word (SO_REUSEADDR), and one of the two hears nothing any more: so each process
// gets a part of its own. A gateway's pool is 20000 to 29999, lasting's are 20000 to 30999, the kernel's begin at 32768.
type ports struct{ first, last int }

// parts deals out ports in parts of a size, and begins again when all were given.
type parts struct {
	ports
	size  int
	given atomic.Int32
}

var (
	sipPorts      = parts{ports: ports{5100, 6999}, size: 1}
	linphonePorts = parts{ports: ports{10000, 17999}, size: 100}
	baresipPorts  = ports{18000, 19999} // it takes another port when one is in use
	enginePorts   = parts{ports: ports{31000, 32749}, size: 250}
)

func (p *parts) next() ports {
	n := int(p.given.Add(1)-1) % ((p.last + 1 - p.first) / p.size)
	return ports{p.first + n*p.size, p.first + (n+1)*p.size - 1}
}

// freePort returns a port for a program that cannot be asked which one it took.
func freePort(t *testing.T) string {
	t.Helper()
	return freePortAt(t, "127.0.0.1")
}

// freePortAt does that for another address. The port is free for UDP and TCP, and the kernel gives it to nobody meanwhile.
func freePortAt(t *testing.T, address string) string {
	t.Helper()
	for range sipPorts.last - sipPorts.first {
		port := strconv.Itoa(sipPorts.next().first)
		socket, err := net.ListenPacket("udp4", net.JoinHostPort(address, port))
		if err != nil {
			continue
		}
		_ = socket.Close()
		if l, err := net.Listen("tcp4", net.JoinHostPort(address, port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("no port of %s is free for both UDP and TCP", address)
	return ""
}
