package interop_test

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// ports are those of 127.0.0.1 from the first to the last, for one program. Linphone and rtpengine bind a
// port that another process has without a word (SO_REUSEADDR), and one of the two hears nothing any more: so each process
// gets a part of its own. A gateway's pool is 20000 to 29999, lasting's are 20000 to 30999, the kernel's begin at 32768.
type ports struct{ first, last int }

// parts deals out ports in parts of a size, from a place of chance on, and begins again when all were given. Parts of several ports are
// this process's until its end: another run of these tests beside it listens on the last port of its own over TCP, where no media is.
type parts struct {
	ports
	size  int
	given atomic.Int32
}

var (
	startAt = rand.IntN(1 << 16)
	held    sync.Map // net.Listener by address
)

var (
	sipPorts      = parts{ports: ports{5100, 6999}, size: 1}
	linphonePorts = parts{ports: ports{10000, 17999}, size: 100}
	baresipPorts  = ports{18000, 19999} // it takes another port when one is in use
	enginePorts   = parts{ports: ports{31000, 32749}, size: 250}
)

func (p *parts) next() ports {
	all := (p.last + 1 - p.first) / p.size
	part := ports{}
	for range all {
		n := (startAt + int(p.given.Add(1))) % all
		part = ports{p.first + n*p.size, p.first + (n+1)*p.size - 1}
		if p.size == 1 || part.hold() {
			break
		}
	}
	return part
}

// hold reports whether a part is this process's now.
func (p ports) hold() bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.last))
	if _, ours := held.Load(address); ours {
		return true
	}
	l, err := net.Listen("tcp4", address)
	if err == nil {
		held.Store(address, l)
	}
	return err == nil
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
