package main

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// callee is one socket that answers for several users.
type callee struct {
	conn   net.Conn
	local  string
	secure bool
	asked  atomic.Int64 // when the last INVITE came, in nanoseconds since 1970
	in     reader
	out    []byte
}

// run answers until the connection is closed.
func (c *callee) run() error {
	for {
		if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		m, err := c.in.next(c.conn)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(m, []byte("INVITE ")):
			c.asked.Store(time.Now().UnixNano())
			err = c.answer(m)
		case bytes.HasPrefix(m, []byte("BYE ")):
			err = c.respond(m, "200 OK", "")
		}
		if err != nil {
			return err
		}
	}
}

func (c *callee) answer(m []byte) error {
	if err := c.respond(m, "180 Ringing", ""); err != nil {
		return err
	}
	tag := ""
	if c.secure {
		line := m[:max(0, bytes.Index(m, []byte(" AES_CM_128_HMAC_SHA1_80")))]
		tag = string(line[bytes.LastIndexByte(line, ':')+1:])
	}
	return c.respond(m, "200 OK", sdpOf(c.secure, "0 101", tag))
}

func (c *callee) respond(m []byte, status, body string) error {
	b := append(append(append(c.out[:0], "SIP/2.0 "...), status...), "\r\n"...)
	for _, name := range [...]string{"Via", "Record-Route", "From", "Call-ID", "CSeq"} {
		b = appendLines(b, m, name, name)
	}
	to := value(m, "To")
	b = append(append(b, "To: "...), to...)
	if !bytes.Contains(to, []byte(";tag=")) {
		b = append(b, ";tag=b"...)
	}
	b = append(append(append(b, "\r\nContact: <sip:callee@"...), c.local...), ">\r\n"...)
	if body != "" {
		b = append(b, "Content-Type: application/sdp\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	c.out = append(append(b, "\r\n\r\n"...), body...)
	_, err := c.conn.Write(c.out)
	return err
}
