package transport

import (
	"net/netip"
	"sync"
)

// batch is how many datagrams are taken and sent in one system call: at a high rate the calls and wake-ups cost more than
// the work. It also bounds how long the first answer waits for the others.
const batch = 32

// Departures is what a UDP socket has to send. While the socket's reader works on a batch, or a worker of calls does, what is sent
// gathers here, theirs and that of other goroutines; otherwise each goes out at once.
type Departures struct {
	write func([]Departure) (failed int) // sends all of them
	lost  func(Departure)                // told of each that the system would not take

	mu   sync.Mutex
	held int    // by so many
	text []byte // of what waits; kept
	wait []Departure
}

// Departure is one datagram.
type Departure struct {
	B    []byte
	To   netip.AddrPort
	From netip.Addr // of ours, where the socket is bound to all addresses; the system chooses when it is zero
	Err  error      // why the system would not take it
}

// departureRoom is how much room held datagrams have together; who finds it full sends all.
const departureRoom = 32 << 10

// NewDepartures returns what has nothing to send yet. write gets at most 32 datagrams, which are good until it returns, and says of how
// many it has set Err; lost is called for each of those, and must not send. Neither is called twice at the same time.
func NewDepartures(write func([]Departure) int, lost func(Departure)) *Departures {
	return &Departures{
		write: write, lost: lost, text: make([]byte, 0, departureRoom), wait: make([]Departure, 0, batch),
	}
}

// Hold lets datagrams wait for Release.
func (d *Departures) Hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held++
}

// Release sends what has gathered, whoever holds it still.
func (d *Departures) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held--
	d.flush()
}

// Send sends a datagram, or copies it to be sent soon. It leaves from one of our addresses, or from the one that the system chooses
// when that is zero.
func (d *Departures) Send(b []byte, to netip.AddrPort, from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == 0 {
		d.wait = append(d.wait, Departure{B: b, To: to, From: from})
		d.flush()
		return
	}
	if len(d.wait) == batch || len(d.text)+len(b) > cap(d.text) {
		d.flush()
	}
	if len(b) > cap(d.text) {
		d.wait = append(d.wait, Departure{B: b, To: to, From: from})
		d.flush()
		return
	}
	start := len(d.text)
	d.text = append(d.text, b...) // never grows: what waits points into it
	d.wait = append(d.wait, Departure{B: d.text[start:], To: to, From: from})
}

func (d *Departures) flush() {
	if len(d.wait) == 0 {
		return
	}
	if d.write(d.wait) > 0 {
		for _, one := range d.wait {
			if one.Err != nil {
				d.lost(one)
			}
		}
	}
	clear(d.wait)
	d.wait, d.text = d.wait[:0], d.text[:0]
}
