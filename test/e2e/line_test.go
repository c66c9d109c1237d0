package e2e_test

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// line is a cable between two sockets that can be cut.
type line struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	network string // of the far end
	address string
	broken  bool
	ends    map[net.Conn]bool
}

// newLine listens; to says where it leads.
func newLine(t *testing.T, network, address string) *line {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	x := &line{listener: l, ends: map[net.Conn]bool{}}
	x.wg.Go(x.accept)
	t.Cleanup(func() {
		_ = l.Close()
		x.cut()
		x.wg.Wait()
	})
	return x
}

func (x *line) to(network, address string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.network, x.address = network, address
}

func (x *line) port() string { return strconv.Itoa(x.listener.Addr().(*net.TCPAddr).Port) }

// cut ends every connection and refuses new ones until mend.
func (x *line) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.broken = true
	for c := range x.ends {
		_ = c.Close()
	}
}

// mend lets new connections through.
func (x *line) mend() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.broken = false
}

func (x *line) accept() {
	for {
		near, err := x.listener.Accept()
		if err != nil {
			return
		}
		x.wg.Go(func() { x.carry(near) })
	}
}

func (x *line) carry(near net.Conn) {
	defer near.Close()
	x.mu.Lock()
	network, address, broken := x.network, x.address, x.broken
	x.mu.Unlock()
	if broken {
		return
	}
	far, err := net.Dial(network, address)
	if err != nil {
		return
	}
	defer far.Close()
	if !x.hold(near, far) {
		return
	}
	defer x.release(near, far)
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // either end may close
			_ = pair[0].Close()
			_ = pair[1].Close()
		})
	}
	both.Wait()
}

func (x *line) hold(ends ...net.Conn) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range ends {
		x.ends[c] = true
	}
	return !x.broken
}

func (x *line) release(ends ...net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range ends {
		delete(x.ends, c)
	}
}
