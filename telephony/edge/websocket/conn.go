package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// Options say what upgrades are taken and how long things may take.
type Options struct {
	Path    string   // where upgrades are taken; empty: anywhere
	Origins []string // host patterns (path.Match) of pages that may connect, besides the listener's own host

	MaxMessage int64         // bytes of one message; a larger one ends the connection
	Write      time.Duration // for the peer to take what is written
	Ping       time.Duration // between our pings
	Pong       time.Duration // for the answer to one

	// Heard is called by the reader when the peer has said that it is there, by a ping of its own or by a pong. A false one
	// leaves a ping without an answer.
	Heard func(ping bool) (alive bool)
}

// Errors of a connection besides those of the network.
var (
	ErrTooLarge = errors.New("websocket: the message is larger than the limit")
	ErrText     = errors.New("websocket: text is not UTF-8") // RFC 6455 §8.1
	ErrNoPong   = errors.New("websocket: no answer to a ping")
)

// Conn is an upgraded connection. One goroutine may read, one write, and one send pings.
type Conn struct {
	nc      net.Conn
	conn    *websocket.Conn
	options Options
	kind    websocket.MessageType // of the message under way
	reader  io.Reader
	frame   bytes.Buffer // what is read of it
	code    websocket.StatusCode
	reason  string
}

// Next waits for the first frame of a message.
func (c *Conn) Next() (err error) {
	c.kind, c.reader, err = c.conn.Reader(context.Background()) // the deadlines are the connection's
	return known(err)
}

// Read returns the message that Next found, once it is whole; it is good until the next one. A large one must not hold its
// memory for the life of the connection.
func (c *Conn) Read() ([]byte, error) {
	if c.frame.Reset(); c.frame.Cap() > keptFrame {
		c.frame = bytes.Buffer{}
	}
	if _, err := c.frame.ReadFrom(c.reader); err != nil {
		return nil, known(err)
	}
	b := c.frame.Bytes()
	if c.kind == websocket.MessageText && !utf8.Valid(b) {
		c.code, c.reason = websocket.StatusInvalidFramePayloadData, "text is not UTF-8"
		return nil, ErrText
	}
	return b, nil
}

const keptFrame = 8 << 10

// known makes an error of ours of one of the library's.
func known(err error) error {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return ErrTooLarge
	}
	return err
}

// Write writes each message in a WebSocket message of its own, and ends says where each stops: text where it is text, since
// that is what browsers' libraries read best.
func (c *Conn) Write(b []byte, ends []int) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Write)
	defer cancel()
	c.writing()
	begin := 0
	for _, end := range ends {
		kind := websocket.MessageText
		if !utf8.Valid(b[begin:end]) {
			kind = websocket.MessageBinary
		}
		if err := c.conn.Write(ctx, kind, b[begin:end]); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// writing sets the deadline of a write that begins.
func (c *Conn) writing() { _ = c.nc.SetWriteDeadline(time.Now().Add(c.options.Write)) }

// Pings asks the peer for a sign of life again and again, until ctx ends, which is no error, or it gives none: then it is gone.
// Pings also keep proxies on the way from closing: a browser cannot send them by itself.
func (c *Conn) Pings(ctx context.Context) error {
	tick := time.NewTicker(c.options.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.writing()
		bounded, cancel := context.WithTimeout(ctx, c.options.Pong)
		err := c.conn.Ping(bounded)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return ErrNoPong
		case err != nil:
			return err
		}
	}
}

// pinged runs in the reader, while it waits for a message.
func (c *Conn) pinged(context.Context, []byte) bool {
	c.writing()
	return c.options.Heard(true)
}

// Refuse lets Close say that the last message was none that we take, and why. Only its reader may call it.
func (c *Conn) Refuse(reason string) { c.code, c.reason = websocket.StatusPolicyViolation, reason }

// Close says why we go, and closes the connection. It waits for the peer's own goodbye, for as long as the connection's
// deadlines let it.
func (c *Conn) Close() { _ = c.conn.Close(c.code, c.reason) }
