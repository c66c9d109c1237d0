package edge

import (
	"net/netip"
	"sync"
)

// batch is how many datagrams are taken and sent in one system call: at a high rate the calls and wake-ups cost more than
// the work. It also bounds how long the first answer waits for the others.
const batch = 32

// departures is what a UDP socket has to send. While the socket's reader works on a batch, or a worker of calls does, what is sent
// gathers here, theirs and that of other goroutines; otherwise each goes out at once.
type departures struct {
	write func([]departure) (failed int) // sends all of them
	lost  func()                         // told of each that the system would not take

	mu   sync.Mutex
	held int    // by so many
	text []byte // of what waits; kept
	wait []departure
}

// departure is one datagram.
type departure struct {
	b  []byte
	to netip.AddrPort
}

// held datagrams have this much room together; who finds it full sends all.
const departureRoom = 32 << 10

func newDepartures(write func([]departure) int, lost func()) *departures {
	return &departures{
		write: write, lost: lost, text: make([]byte, 0, departureRoom), wait: make([]departure, 0, batch),
	}
}

// hold lets datagrams wait for release.
func (d *departures) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held++
}

// release sends what has gathered, whoever holds it still.
func (d *departures) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held--
	d.flush()
}

// send sends a datagram, or copies it to be sent soon.
func (d *departures) send(b []byte, to netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == 0 {
		d.wait = append(d.wait, departure{b, to})
		d.flush()
		return
	}
	if len(d.wait) == batch || len(d.text)+len(b) > cap(d.text) {
		d.flush()
	}
	if len(b) > cap(d.text) {
		d.wait = append(d.wait, departure{b, to})
		d.flush()
		return
	}
	start := len(d.text)
	d.text = append(d.text, b...) // never grows: what waits points into it
	d.wait = append(d.wait, departure{d.text[start:], to})
}

func (d *departures) flush() {
	if len(d.wait) == 0 {
		return
	}
	for range d.write(d.wait) {
		d.lost()
	}
	clear(d.wait)
	d.wait, d.text = d.wait[:0], d.text[:0]
}
