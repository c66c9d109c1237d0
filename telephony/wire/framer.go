package wire

import "bytes"

// Event is what a Framer found next in a stream.
type Event uint8

// The events.
const (
	More      Event = iota // nothing whole yet: read on
	Whole                  // a message
	KeepAlive              // one CRLF between messages: a pong, or noise (RFC 5626 §3.5.1)
	Ping                   // the second CRLF in a row: it is answered with one CRLF
)

// Framer cuts a byte stream into SIP messages (RFC 3261 §18.3). Every byte is searched twice at most, however small the
// pieces are in which it arrives.
type Framer struct {
	limits   Limits
	buf      []byte // buf[start:] is not consumed
	start    int
	searched int // bytes after start known to hold no end of head
	head     int // length of the scanned head of the message under way, 0 before
	body     int // its Content-Length
	crlf     bool
	resting  bool
	nap      [napBuffer]byte
}

const (
	firstBuffer = 2 << 10 // most messages of a phone fit
	keptBuffer  = 8 << 10
	minRead     = 512
	napBuffer   = 64 // a keep-alive fits
)

// NewFramer returns a framer for one stream.
func NewFramer(l Limits) *Framer { return &Framer{limits: l.withDefaults()} }

// Rest gives the buffer up while nothing is pending: a phone says nothing for minutes. What comes next begins in a small one.
func (f *Framer) Rest() {
	if !f.Pending() {
		f.buf, f.start, f.resting = nil, 0, true
	}
}

// Space returns where to read into. It ends the validity of the last message.
func (f *Framer) Space() []byte {
	if f.resting {
		return f.nap[:]
	}
	if f.start == len(f.buf) {
		f.buf, f.start = f.buf[:0], 0
		if cap(f.buf) > keptBuffer {
			f.buf = nil // one large message must not hold its memory for the life of the connection
		}
	}
	if cap(f.buf)-len(f.buf) < minRead {
		f.grow()
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

// grow moves what is not consumed to the front, of a larger buffer if need be. Doubling keeps the copies linear; the
// limits bound the size.
func (f *Framer) grow() {
	pending := f.buf[f.start:]
	size := max(cap(f.buf), firstBuffer)
	for size-len(pending) < max(minRead, size/4) {
		size *= 2
	}
	into := f.buf[:0]
	if size > cap(f.buf) {
		into = make([]byte, 0, size)
	}
	f.buf, f.start = append(into, pending...), 0
}

// Fill says that n bytes were read into Space.
func (f *Framer) Fill(n int) {
	if f.resting && n > 0 {
		f.resting = false
		f.grow()
		n = copy(f.buf[:n], f.nap[:n])
	}
	f.buf = f.buf[:len(f.buf)+n]
}

// Pending reports whether a message has begun and is not whole.
func (f *Framer) Pending() bool { return f.start < len(f.buf) }

// Next finds the next event. A message is valid until the next call of Space. Whole with an error is a bad message after which the
// stream goes on; after any other error it is out of step and has to be closed.
func (f *Framer) Next(m *Message) (Event, error) {
	b := f.buf[f.start:]
	var bad error
	waited := f.head > 0
	if !waited {
		if event, done := f.between(b); done {
			return event, nil
		}
		if bad = f.findHead(b, m); f.head == 0 {
			return More, bad
		}
	}
	size := f.head + f.body
	if len(b) < size {
		return More, nil
	}
	if waited { // the buffer may have moved and m be another one: once more, and only once
		m.lines.find(b[:f.head], f.limits)
		bad = m.scanHead(b[:f.head], f.limits)
	}
	m.Head, m.Body = b[:f.head:f.head], b[f.head:size:size]
	f.start += size
	f.head, f.searched, f.crlf = 0, 0, false
	return Whole, bad
}

// between reads the CRLFs that may stand between messages (RFC 3261 §7.5, RFC 5626 §4.4.1).
func (f *Framer) between(b []byte) (Event, bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == '\r' {
		return More, true
	}
	if b[0] != '\r' || b[1] != '\n' {
		return More, false
	}
	f.start += 2
	f.crlf = !f.crlf
	if f.crlf {
		return KeepAlive, true
	}
	return Ping, true
}

// findHead looks for the empty line and scans the head once it is there.
func (f *Framer) findHead(b []byte, m *Message) error {
	window := b[:min(len(b), f.limits.Head)]
	head := -1
	if from := max(0, f.searched-3); from == 0 || bytes.Contains(window[from:], []byte("\r\n\r\n")) {
		head = m.lines.find(window, f.limits)
	}
	if head < 0 {
		f.searched = len(window)
		if len(b) >= f.limits.Head {
			m.reset()
			return Error{HeadTooLarge, "headers"}
		}
		return nil
	}
	bad := m.scanHead(b[:head], f.limits)
	switch {
	case m.Framed():
		f.head, f.body = head, m.ContentLength
	case bad == nil: // RFC 3261 §18.3, §20.14: a stream cannot be cut without a Content-Length
		return Error{BadLength, contentLength.String()}
	}
	return bad
}
