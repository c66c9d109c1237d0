package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// What an upgrade may cost before anybody is known.
const (
	maxUpgrade    = 8 << 10 // bytes of the HTTP request
	readAhead     = 1 << 10
	controlBuffer = 512
)

// subprotocol must be asked for and is answered (RFC 7118 §4.1).
const subprotocol = "sip"

// Upgrade turns a connection into a WebSocket, or answers why not and returns a word for the counters. Both must be done by the
// deadline, which the caller has set on the connection for reads.
func Upgrade(nc net.Conn, deadline time.Time, o Options) (*Conn, string) {
	_ = nc.SetWriteDeadline(deadline)
	limited := &io.LimitedReader{R: nc, N: maxUpgrade}
	u := &upgrading{nc: nc, header: make(http.Header), buffered: bufio.NewReaderSize(limited, readAhead)}
	req, err := http.ReadRequest(u.buffered)
	if err != nil {
		return nil, unread(err, deadline, limited.N)
	}
	if status, text := o.welcomes(req); status != 0 {
		http.Error(u, text, status)
		return nil, u.refuse()
	}
	c := &Conn{nc: nc, options: o, code: websocket.StatusGoingAway}
	c.conn, err = websocket.Accept(u, req, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, OriginPatterns: o.Origins,
		OnPingReceived: c.pinged, OnPongReceived: func(context.Context, []byte) { o.Heard(false) },
	})
	if err != nil {
		return nil, u.refuse()
	}
	limited.N = math.MaxInt64 // from here on the limits of messages hold
	c.conn.SetReadLimit(o.MaxMessage)
	return c, ""
}

// unread says why an upgrade could not be read. The error alone does not: the reader calls half a line malformed.
func unread(err error, deadline time.Time, left int64) string {
	switch {
	case !time.Now().Before(deadline):
		return "timeout"
	case left <= 0:
		return "http_too_long"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	}
	return "not_http"
}

// welcomes holds an upgrade against what only we ask for; the rest is the library's.
func (o Options) welcomes(req *http.Request) (status int, text string) {
	offered := strings.Split(strings.Join(req.Header.Values("Sec-Websocket-Protocol"), ","), ",")
	switch {
	case o.Path != "" && req.URL.Path != o.Path:
		return http.StatusNotFound, "SIP is spoken at " + o.Path
	case req.Header.Get("Upgrade") == "":
		return 0, ""
	case !slices.ContainsFunc(offered, func(p string) bool { return strings.EqualFold(strings.TrimSpace(p), subprotocol) }):
		return http.StatusBadRequest, "ask for the WebSocket subprotocol sip (RFC 7118)"
	}
	return 0, ""
}

// upgrading is the http.ResponseWriter of one upgrade.
type upgrading struct {
	nc       net.Conn
	buffered *bufio.Reader
	header   http.Header
	status   int
	body     bytes.Buffer
}

func (u *upgrading) Header() http.Header         { return u.header }
func (u *upgrading) WriteHeader(status int)      { u.status = status }
func (u *upgrading) Write(b []byte) (int, error) { return u.body.Write(b) }

// Hijack sends the answer that says yes and gives the connection away.
func (u *upgrading) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	head := bytes.NewBufferString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := u.header.Write(head); err != nil {
		return nil, nil, err
	}
	head.WriteString("\r\n")
	if _, err := u.nc.Write(head.Bytes()); err != nil {
		return nil, nil, err
	}
	return u.nc, bufio.NewReadWriter(u.buffered, bufio.NewWriterSize(u.nc, controlBuffer)), nil
}

// refuse sends the answer that says no; the connection is closed after it.
func (u *upgrading) refuse() string {
	answer := http.Response{
		StatusCode: u.status, ProtoMajor: 1, ProtoMinor: 1, Header: u.header, Close: true,
		Body: io.NopCloser(&u.body), ContentLength: int64(u.body.Len()),
	}
	_ = answer.Write(u.nc) // the peer may be gone
	if u.status == http.StatusForbidden {
		return "origin"
	}
	return fmt.Sprintf("http_%d", u.status)
}
