package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// lane is one socket or connection with several phones in flight: slots, each of which goes through phones in turn.
type lane struct {
	conn  net.Conn
	via   string // Via up to the branch
	local string
	slots []slot
	in    []byte
	done  *atomic.Int64
}

type slot struct {
	phones []*phone
	at     int
	signed bool // the REGISTER under way has credentials
}

// send writes the slot's next REGISTER. The Call-ID begins with the slot's number, by which its answer is known.
func (l *lane) send(n int, authorization string) error {
	s := &l.slots[n]
	p := s.phones[s.at]
	p.cseq++
	b := append(p.out[:0], "REGISTER sip:"+realm+" SIP/2.0\r\n"...)
	b = append(b, l.via...)
	b = append(b, p.user...)
	b = strconv.AppendInt(b, int64(p.cseq), 10)
	b = append(b, "\r\nMax-Forwards: 70\r\nFrom: <sip:"+p.user+"@"+realm+">;tag=t"+p.user+"\r\nTo: <sip:"+p.user+"@"+
		realm+">\r\nCall-ID: "...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, "-"+p.user+"\r\nCSeq: "...)
	b = strconv.AppendInt(b, int64(p.cseq), 10)
	b = append(b, " REGISTER\r\nContact: <sip:"+p.user+"@"+l.local+">\r\nExpires: 600\r\nUser-Agent: bench\r\n"...)
	b = append(b, authorization...)
	p.out = append(b, "Content-Length: 0\r\n\r\n"...)
	s.signed = authorization != ""
	_, err := l.conn.Write(p.out)
	return err
}

// answered goes on from a reply: to the credentials, or to the slot's next phone.
func (l *lane) answered(reply []byte) error {
	n, err := strconv.Atoi(between(reply, "\r\nCall-ID: ", "-"))
	if err != nil || n < 0 || n >= len(l.slots) || len(reply) < 12 {
		return fmt.Errorf("an answer to nothing: %.80q", reply)
	}
	s := &l.slots[n]
	switch string(reply[7:11]) {
	case " 401":
		if s.signed && !bytes.Contains(reply, []byte("stale=true")) {
			return fmt.Errorf("the credentials of %s are refused: %.60q", s.phones[s.at].user, reply)
		}
		return l.send(n, s.phones[s.at].sign(between(reply, `nonce="`, `"`)))
	case " 200":
		l.done.Add(1)
		s.at = (s.at + 1) % len(s.phones)
		return l.send(n, "")
	}
	return fmt.Errorf("unexpected answer: %.60q", reply)
}

// run keeps the lane's slots busy until ctx ends. What is under way then is waited for, so that the next run finds no
// old answers.
func (l *lane) run(ctx context.Context) error {
	// One at first: who has not authenticated yet gets only so many answers in a second from demarc.
	if err := l.send(0, ""); err != nil {
		return err
	}
	for under := 1; under > 0; {
		reply, err := l.readOrRepeat(under)
		if err != nil {
			return err
		}
		if !l.expected(reply) {
			continue // the second answer to a repeated request
		}
		if ctx.Err() != nil {
			under--
			continue
		}
		if err := l.answered(reply); err != nil {
			return err
		}
		for ; under < len(l.slots) && string(reply[7:11]) == " 200"; under++ {
			if err := l.send(under, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// readOrRepeat returns an answer. On UDP a busy server may lose datagrams: what is under way is sent again then, as a
// phone's transaction would (RFC 3261 §17.1.2.2).
func (l *lane) readOrRepeat(under int) ([]byte, error) {
	const tries = 10
	for try := 1; ; try++ {
		reply, err := l.read()
		if err == nil || try == tries || l.conn.RemoteAddr().Network() != "udp" || !errors.Is(err, os.ErrDeadlineExceeded) {
			return reply, err
		}
		for _, s := range l.slots[:under] {
			if _, err := l.conn.Write(s.phones[s.at].out); err != nil {
				return nil, err
			}
		}
	}
}

// expected reports whether an answer is to the request that its slot waits for.
func (l *lane) expected(reply []byte) bool {
	n, err := strconv.Atoi(between(reply, "\r\nCall-ID: ", "-"))
	if err != nil || n < 0 || n >= len(l.slots) {
		return true // answered tells what is wrong with it
	}
	s := l.slots[n]
	return between(reply, "\r\nCSeq: ", " ") == strconv.Itoa(s.phones[s.at].cseq)
}

// once registers the lane's first phone.
func (l *lane) once() error {
	_, err := l.register()
	return err
}

// register registers the lane's first phone and returns the 200, which is valid until the next.
func (l *lane) register() (answer []byte, err error) {
	before := l.done.Load()
	if err := l.send(0, ""); err != nil {
		return nil, err
	}
	for {
		reply, err := l.read()
		if err != nil {
			return nil, err
		}
		if string(reply[7:11]) == " 200" {
			l.done.Store(before + 1)
			return reply, nil
		}
		if err := l.answered(reply); err != nil {
			return nil, err
		}
	}
}

// read returns one answer: it has no body, so that it ends with an empty line on a stream too, where a lane has one slot.
func (l *lane) read() ([]byte, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(patience(l.conn))); err != nil {
		return nil, err
	}
	for n := 0; ; {
		got, err := l.conn.Read(l.in[n:])
		if err != nil {
			return nil, err
		}
		if n += got; bytes.HasSuffix(l.in[:n], []byte("\r\n\r\n")) {
			return l.in[:n], nil
		}
	}
}
