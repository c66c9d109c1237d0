package media

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// tunnelDepth is how many datagrams wait for a handshake: a flight of either side is fewer.
const tunnelDepth = 16

// tunnel carries the DTLS of a media line between its loop, which reads the socket, and the goroutine of the handshake. It is the
// net.PacketConn that the handshake reads and writes.
type tunnel struct {
	in     chan []byte
	closed chan struct{}

	mu       sync.Mutex
	fd       int // of the line's socket; -1 once that is closed, or no answer is wanted any more
	to       sockaddr
	deadline chan struct{} // closed when reads end
	timer    *time.Timer
	over     bool
}

func newTunnel(fd int, to netip.AddrPort) *tunnel {
	t := &tunnel{in: make(chan []byte, tunnelDepth), closed: make(chan struct{}), deadline: make(chan struct{}), fd: fd}
	t.to.set(to)
	return t
}

// deliver takes a datagram from the loop; what is too much is lost, and repeated by the phone.
func (t *tunnel) deliver(b []byte) {
	select {
	case t.in <- append([]byte(nil), b...):
	default:
	}
}

// aim says where the phone is from now on.
func (t *tunnel) aim(to netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to.set(to)
}

// mute lets nothing out any more.
func (t *tunnel) mute() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fd = -1
}

// ReadFrom returns the next datagram.
func (t *tunnel) ReadFrom(b []byte) (int, net.Addr, error) {
	t.mu.Lock()
	deadline := t.deadline
	t.mu.Unlock()
	select {
	case datagram := <-t.in:
		return copy(b, datagram), nobody{}, nil
	case <-deadline:
		return 0, nil, os.ErrDeadlineExceeded
	case <-t.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends to where the phone is, whoever it is addressed to.
func (t *tunnel) WriteTo(b []byte, _ net.Addr) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd >= 0 {
		send(t.fd, b, &t.to) // lost ones are repeated
	}
	return len(b), nil
}

// Close ends reads.
func (t *tunnel) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fd = -1
	if !t.over {
		t.over = true
		close(t.closed)
	}
	t.disarm()
	return nil
}

// disarm stops the timer of a deadline. One that is about to end reads has done so afterwards: a channel closes once.
func (t *tunnel) disarm() {
	if t.timer != nil && !t.timer.Stop() {
		<-t.deadline
	}
	t.timer = nil
}

// SetReadDeadline ends reads at a time.
func (t *tunnel) SetReadDeadline(at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disarm()
	select {
	case <-t.deadline:
		t.deadline = make(chan struct{})
	default:
	}
	if at.IsZero() || t.over {
		return nil
	}
	passed := t.deadline
	if wait := time.Until(at); wait > 0 {
		t.timer = time.AfterFunc(wait, func() { close(passed) })
		return nil
	}
	close(passed)
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (t *tunnel) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (t *tunnel) SetDeadline(at time.Time) error { return t.SetReadDeadline(at) }

// LocalAddr is of no use to a handshake.
func (t *tunnel) LocalAddr() net.Addr { return nobody{} }

// nobody is the address of a tunnel's ends: where the phone is, its loop knows.
type nobody struct{}

func (nobody) Network() string { return "udp" }
func (nobody) String() string  { return "phone" }
