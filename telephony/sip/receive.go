package sip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"time"

	"demarc/telephony/wire"
)

// allow lists what a Conn without a Handler takes.
const allow = "OPTIONS"

// read is the one reader of the connection.
func (c *Conn) read() {
	var err error
	if c.reliable {
		err = c.readStream()
	} else {
		err = c.readDatagrams()
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w by the peer", ErrClosed)
	}
	c.fail(err)
	c.incoming.Close()
}

func (c *Conn) readStream() error {
	framer := wire.NewFramer(c.cfg.Limits)
	var m wire.Message
	for {
		n, err := c.nc.Read(framer.Space())
		framer.Fill(n)
		if err := c.drain(framer, &m); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

// drain takes everything whole out of the framer.
func (c *Conn) drain(framer *wire.Framer, m *wire.Message) error {
	for {
		event, err := framer.Next(m)
		switch {
		case err != nil && event != wire.Whole:
			return fmt.Errorf("%w: %w", errBadPeer, err)
		case err != nil:
			c.cfg.Log.Debug("dropped a message", "remote", c.remote, "error", err)
			continue
		}
		switch event {
		case wire.More:
			return nil
		case wire.Ping:
			c.ponged()
			if c.cfg.Accepted {
				_ = c.write([]byte("\r\n"))
			}
		case wire.KeepAlive:
			c.ponged()
		case wire.Whole:
			c.receive(m)
		}
	}
}

func (c *Conn) readDatagrams() error {
	buf := make([]byte, readBuffer)
	var m wire.Message
	for {
		n, err := c.nc.Read(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// An ICMP error of an earlier datagram: the peer may come back, and timer F ends what waits for it.
			if !c.pause(c.cfg.Timers.T1 / 10) {
				return err
			}
			continue
		}
		if len(bytes.Trim(buf[:n], "\r\n\x00")) == 0 {
			c.ponged()
		} else if err := m.Scan(buf[:n], c.cfg.Limits); err != nil {
			c.cfg.Log.Debug("dropped a datagram", "remote", c.remote, "error", err)
		} else {
			c.receive(&m)
		}
	}
}

// pause waits, and reports whether the connection is still open after it.
func (c *Conn) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.done:
		return false
	}
}

// receive serves one message; a panic costs that one alone.
func (c *Conn) receive(m *wire.Message) {
	defer func() {
		if fault := recover(); fault != nil {
			c.panicked(fault)
		}
	}()
	if c.cfg.First != nil && c.cfg.First(m) {
		return
	}
	if m.IsRequest() {
		c.answer(m)
		return
	}
	c.clients.Receive(m, 0)
}

// answer takes an incoming request through a server transaction.
func (c *Conn) answer(m *wire.Message) {
	tx, fresh, err := c.incoming.Receive(m, 0, c.reliable, func(b []byte) { _ = c.write(b) })
	if m.Is("ACK") || err == nil && !fresh {
		return
	}
	switch {
	case err != nil:
		_ = c.write(c.render(m, Answer{Status: 503, Headers: []Header{{Name: "Retry-After", Value: "5"}}}))
	case c.cfg.Serve != nil:
		own, err := m.Clone()
		if err != nil {
			tx.Respond(400, c.render(m, Answer{Status: 400}))
			return
		}
		c.cfg.Serve(own, func(a Answer) { tx.Respond(a.Status, c.render(own, a)) })
	default:
		a := c.decide(m)
		tx.Respond(a.Status, c.render(m, a))
	}
}

func (c *Conn) render(m *wire.Message, a Answer) []byte {
	if a.Tag == "" {
		a.Tag = NewToken()
	}
	raw := AppendResponse(nil, m, c.remote, a.Status, a.Reason, a.Tag)
	for _, h := range a.Headers {
		raw = AppendHeader(raw, h.Name, h.Value)
	}
	return AppendEnd(raw, a.Body)
}

// panicked logs a fault of the program. What it says is logged only when it is the runtime's: other values could hold
// parts of the message.
func (c *Conn) panicked(fault any) {
	known, _ := fault.(runtime.Error)
	c.cfg.Log.Error("panic while a SIP message was served", "error", known, "stack", string(debug.Stack()))
}

func (c *Conn) decide(m *wire.Message) (a Answer) {
	defer func() {
		if fault := recover(); fault != nil {
			c.panicked(fault)
			a = Answer{Status: 500}
		}
	}()
	if c.cfg.Handler != nil {
		return c.cfg.Handler(m)
	}
	allowed := []Header{{Name: "Allow", Value: allow}}
	switch {
	case m.Is("OPTIONS"):
		return Answer{Status: 200, Headers: allowed}
	case m.Is("CANCEL"):
		return Answer{Status: 481}
	}
	return Answer{Status: 405, Headers: allowed}
}

// ponged notes a sign of life between messages.
func (c *Conn) ponged() {
	select {
	case c.pong <- struct{}{}:
	default:
	}
}

// keepAlive sends a double CRLF at every interval and expects one CRLF back on a stream (RFC 5626 §4.4.1). On UDP it
// only keeps NAT bindings open.
func (c *Conn) keepAlive() {
	answers := false
	for c.nextPing() {
		select {
		case <-c.pong:
		default:
		}
		if c.write([]byte("\r\n\r\n")) != nil {
			return
		}
		if !c.reliable {
			continue
		}
		wait := time.NewTimer(c.cfg.PongTimeout)
		select {
		case <-c.pong:
			answers = true
		case <-wait.C:
			if answers {
				c.fail(ErrNoPong)
			}
		case <-c.done:
		}
		wait.Stop()
	}
}

// nextPing waits until a keep-alive is due, and reports whether the connection is still open then.
func (c *Conn) nextPing() bool {
	for {
		t := time.NewTimer(time.Duration(c.every.Load()))
		select {
		case <-t.C:
			return true
		case <-c.sooner:
			t.Stop()
		case <-c.done:
			t.Stop()
			return false
		}
	}
}
