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

// caller is one socket from which several users call, one call each at a time.
type caller struct {
	conn  net.Conn
	via   string // up to the branch
	local string
	offer string
	slots []callSlot
	in    reader
	done  *atomic.Int64
}

type callSlot struct {
	user, callee string
	call         int  // counts
	cseq         int  // of its INVITE
	ended        bool // its BYE is under way
	idle         bool // no call is under way
	out          []byte
	ok           []byte // the 200 to the INVITE of a call that lasts
}

// invite begins the slot's next call. The Call-ID begins with the slot's number, by which answers are known.
func (c *caller) invite(n int) error {
	s := &c.slots[n]
	s.call++
	s.ended, s.idle, s.cseq = false, false, 0
	return c.ask(n, "")
}

// ask sends the slot's INVITE, once more with credentials when it was challenged.
func (c *caller) ask(n int, authorization string) error {
	s := &c.slots[n]
	s.cseq++
	b := append(s.out[:0], "INVITE sip:"+s.callee+"@"+realm+" SIP/2.0\r\n"...)
	b = c.appendTop(b, n, "i"+strconv.Itoa(s.cseq))
	b = append(b, "To: <sip:"+s.callee+"@"+realm+">\r\nCSeq: "...)
	b = strconv.AppendInt(b, int64(s.cseq), 10)
	b = append(b, " INVITE\r\nContact: <sip:"+s.user+"@"+c.local+">\r\n"+authorization+"Content-Type: application/sdp\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(c.offer)), 10)
	s.out = append(append(b, "\r\n\r\n"...), c.offer...)
	_, err := c.conn.Write(s.out)
	return err
}

func (c *caller) appendTop(b []byte, n int, kind string) []byte {
	s := &c.slots[n]
	call := s.user + "-" + strconv.Itoa(s.call)
	b = append(append(append(append(b, c.via...), kind...), call...), "\r\nMax-Forwards: 70\r\nFrom: <sip:"...)
	b = append(b, s.user+"@"+realm+">;tag=t"+call+"\r\nCall-ID: "...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "-"+call+"\r\n"...)
}

// answered goes on from a response.
func (c *caller) answered(ctx context.Context, m []byte) error {
	id := value(m, "Call-ID")
	number, call, _ := bytes.Cut(id, []byte("-"))
	n, err := strconv.Atoi(string(number))
	if err != nil || n < 0 || n >= len(c.slots) || len(m) < 12 {
		return fmt.Errorf("an answer to nothing: %.80q", m)
	}
	s := &c.slots[n]
	if string(call) != s.user+"-"+strconv.Itoa(s.call) {
		return nil // of an earlier call, once more
	}
	cseq, method, _ := bytes.Cut(value(m, "CSeq"), []byte(" "))
	bye := string(method) == "BYE"
	switch status := string(m[8:11]); {
	case !bye && string(cseq) != strconv.Itoa(s.cseq):
		return nil // to the INVITE before the challenge, once more
	case status == "407" && !bye && s.cseq == 1:
		return c.prove(n, m)
	case status[0] == '1', bye != s.ended:
		return nil
	case status != "200":
		return fmt.Errorf("a call failed: %.400q", m)
	case bye:
		c.done.Add(1)
		if s.idle = ctx.Err() != nil; s.idle {
			return nil
		}
		return c.invite(n)
	}
	s.ended = true
	if err := c.within(n, m, "ACK", s.cseq); err != nil {
		return err
	}
	return c.within(n, m, "BYE", s.cseq+1)
}

// prove acknowledges a challenge and answers it.
func (c *caller) prove(n int, challenge []byte) error {
	s := &c.slots[n]
	b := append(s.out[:0], "ACK sip:"+s.callee+"@"+realm+" SIP/2.0\r\n"...)
	b = c.appendTop(b, n, "i1")
	b = append(append(b, "To: "...), value(challenge, "To")...)
	if _, err := c.conn.Write(append(b, "\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"...)); err != nil {
		return err
	}
	who := phone{user: s.user, ha1: md5hex(s.user + ":" + realm + ":p" + s.user)}
	return c.ask(n, "Proxy-"+who.answer("INVITE", "sip:"+s.callee+"@"+realm, between(challenge, `nonce="`, `"`)))
}

// within sends a request of the dialog that a 200 has begun.
func (c *caller) within(n int, ok []byte, method string, cseq int) error {
	s := &c.slots[n]
	target := between(value(ok, "Contact"), "<", ">")
	b := append(s.out[:0], method+" "+target+" SIP/2.0\r\n"...)
	b = c.appendTop(b, n, method[:1])
	b = appendLines(b, ok, "Record-Route", "Route")
	b = append(append(append(b, "To: "...), value(ok, "To")...), "\r\nCSeq: "...)
	b = strconv.AppendInt(b, int64(cseq), 10)
	s.out = append(b, " "+method+"\r\nContent-Length: 0\r\n\r\n"...)
	_, err := c.conn.Write(s.out)
	return err
}

// run keeps the slots busy until ctx ends, and then until the calls under way have ended.
func (c *caller) run(ctx context.Context) error {
	for n := range c.slots {
		if err := c.invite(n); err != nil {
			return err
		}
	}
	for !c.idle() {
		if err := c.conn.SetReadDeadline(time.Now().Add(patience(c.conn))); err != nil {
			return err
		}
		m, err := c.in.next(c.conn)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && c.in.datagrams: // datagrams were lost
			for n := range c.slots {
				if _, err := c.conn.Write(c.slots[n].out); err != nil {
					return err
				}
			}
			continue
		case err != nil:
			return err
		}
		if err := c.answered(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (c *caller) idle() bool {
	for n := range c.slots {
		if !c.slots[n].idle {
			return false
		}
	}
	return true
}
