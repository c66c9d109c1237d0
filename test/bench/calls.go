package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// calling is a closed loop of calls without talk time: INVITE with SDP → (100) → 180 → 200 → ACK → BYE → 200. Callers and
// callees have sockets of their own; callees answer from what a request says and remember nothing.
type calling struct {
	callers []*caller
	callees []*callee
	done    atomic.Int64
}

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

// dialCalling opens the sockets and registers everybody: lanes of callers, and as many of callees.
func dialCalling(ctx context.Context, s shape, address string, config *tls.Config) (_ *calling, err error) {
	c := &calling{}
	half := s
	half.slots, half.phones = 1, s.slots
	first := s.first
	for i := range s.lanes {
		half.lanes, half.first = 1, first+2*i*s.slots
		from, err := registered(ctx, half, address, config)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		half.first += s.slots
		to, err := registered(ctx, half, address, config)
		if err != nil {
			return nil, errors.Join(err, from.Close(), c.close())
		}
		c.add(s, i, from, to)
	}
	for _, one := range c.callees {
		go func() { _ = one.run() }() // it ends with its connection
	}
	return c, nil
}

func (c *calling) add(s shape, i int, from, to net.Conn) {
	secure, suffix := s.transport == "TLS", ""
	if secure {
		suffix = ";transport=tls"
	}
	read := func() reader { return reader{buf: make([]byte, 64<<10), datagrams: !secure} }
	one := &caller{
		conn: from, local: from.LocalAddr().String() + suffix, done: &c.done, in: read(), offer: sdpOf(secure, "0 8 101", "1"),
		via: "Via: SIP/2.0/" + s.transport + " " + from.LocalAddr().String() + ";rport;branch=z9hG4bK",
	}
	for n := range s.slots {
		user := s.first + 2*i*s.slots + n
		one.slots = append(one.slots, callSlot{user: subscriber(user), callee: subscriber(user + s.slots), call: int(time.Now().UnixMicro() & (1<<40 - 1))})
	}
	c.callers = append(c.callers, one)
	c.callees = append(c.callees, &callee{conn: to, local: to.LocalAddr().String() + suffix, secure: secure, in: read()})
}

// registered opens one socket and registers its users over it.
func registered(ctx context.Context, s shape, address string, config *tls.Config) (net.Conn, error) {
	l, err := dial(ctx, s, address, config)
	if err != nil {
		return nil, err
	}
	one := l.lanes[0]
	if s.transport == "TLS" {
		one.local += ";transport=tls"
	}
	all := one.slots[0].phones
	for _, p := range all {
		one.slots[0] = slot{phones: []*phone{p}}
		if err := one.once(); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return one.conn, nil
}

func (c *calling) run(ctx context.Context) error {
	return everybody(ctx, c.callers, func(ctx context.Context, one *caller) error { return one.run(ctx) })
}

func (c *calling) close() error {
	var all []error
	for i := range c.callers {
		all = append(all, c.callers[i].conn.Close(), c.callees[i].conn.Close())
	}
	return errors.Join(all...)
}

// calls compares whole calls through our B2BUA with Kamailio as a proxy. Nobody is challenged on either side, or callers are on both.
func (b *bench) calls(s shape, allocator string) func(context.Context, *table) error {
	return func(ctx context.Context, rows *table) (err error) {
		users := 2 * s.lanes * s.slots
		ours, err := startDemarc(ctx, b.program, b.scratch(), setting{
			roles: "telephony", bindings: "memory", users: users, trusting: !s.challenged,
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ours.stop()) }()
		all := []contestant{callingAt("demarc", ours.process, s, ours.udp, ours.tls, ours.clientTLS)}
		if !b.alone {
			theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{
				users: users, tls: true, challenging: s.challenged, allocator: allocator,
			})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, theirs.stop()) }()
			all = append(all, callingAt("Kamailio", theirs.process, s, theirs.udp, theirs.tls, theirs.clientTLS))
		}
		name := "INVITE…BYE over " + s.name()
		if s.challenged {
			name += ", the INVITE with digest"
		}
		if !b.alone && allocator == plain {
			name += "; Kamailio with its plain allocator"
		}
		return rows.compare(ctx, b.timing, name, all...)
	}
}

func callingAt(name string, p *process, s shape, udp, secure string, trusted func() (*tls.Config, error)) contestant {
	return contestant{name: name, server: p, prepare: func(ctx context.Context) (worker, func() error, error) {
		address := udp
		var config *tls.Config
		var err error
		if s.transport == "TLS" {
			address = secure
			if config, err = trusted(); err != nil {
				return worker{}, nil, err
			}
		}
		c, err := dialCalling(ctx, s, address, config)
		if err != nil {
			return worker{}, nil, err
		}
		return worker{run: c.run, count: c.done.Load}, c.close, nil
	}}
}
