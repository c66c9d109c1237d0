package edge

import (
	"bytes"
	"context"
	"errors"
	"time"

	"demarc/telephony/edge/websocket"
	"demarc/telephony/wire"
)

// webSocket is a stream whose messages come in WebSocket messages, one in each (RFC 7118 §4.2).
type webSocket struct {
	stream    *stream
	conn      *websocket.Conn
	stopPings context.CancelFunc
}

// upgrade turns the stream into a WebSocket, or answers why not and returns a word for the counters.
func upgrade(ctx context.Context, s *stream) (*webSocket, string) {
	s.edge.passing("upgrade")
	deadline, _ := ctx.Deadline()
	if !s.readUntil(deadline) {
		return nil, "closed"
	}
	w, limits := &webSocket{stream: s}, s.edge.cfg.Limits
	conn, refused := websocket.Upgrade(s.nc, deadline, websocket.Options{
		Path: s.cfg.Path, Origins: s.cfg.Origins, MaxMessage: int64(limits.Message.Size()),
		Write: limits.Write, Ping: limits.Ping, Pong: limits.Pong, Heard: w.heard,
	})
	w.conn = conn
	return w, refused
}

// read takes messages in order until the peer leaves, breaks a rule, or the edge stops.
func (w *webSocket) read(ctx context.Context) {
	s := w.stream
	s.out.Flush = w.conn.Write
	pings, stop := context.WithCancel(ctx)
	w.stopPings = stop
	s.out.Beside(func() { w.pings(pings) })
	var m wire.Message
	for s.await() {
		if err := w.conn.Next(); err != nil {
			w.ended(err, false)
			return
		}
		if !s.readUntil(time.Now().Add(s.edge.cfg.Limits.MessageTime)) {
			return
		}
		b, err := w.conn.Read()
		if err != nil {
			w.ended(err, true)
			return
		}
		if !w.message(ctx, b, &m) || s.edge.isStopping() {
			return
		}
	}
}

// message serves one message; it reports whether the connection may live on.
func (w *webSocket) message(ctx context.Context, b []byte, m *wire.Message) bool {
	s := w.stream
	if len(bytes.Trim(b, "\r\n")) == 0 { // RFC 7118 §6 leaves this to those who want it
		s.edge.count.keepAlives.Add(1)
		if len(b) >= len("\r\n\r\n") {
			s.out.Send([]byte("\r\n"))
		}
		return true
	}
	s.first()
	if s.edge.silent(s.flow) {
		s.edge.reject(s.cfg, "banned")
		return false
	}
	err := m.Scan(b, s.edge.cfg.Limits.Message)
	if err == nil && len(m.Head)+len(m.Body) != len(b) {
		err = wire.Error{Fault: wire.BadLength, Where: "Content-Length"} // more than one message, or a lie
	}
	s.flow.heard = s.edge.cfg.Now()
	if err != nil {
		s.edge.refuse(s.flow, m, err)
		w.conn.Refuse("not one whole SIP message")
		return false
	}
	s.edge.dispatch(ctx, s.flow, m)
	return true
}

// pings ends the stream of a peer that is gone.
func (w *webSocket) pings(ctx context.Context) {
	defer w.stream.edge.recovered("ping")
	err := w.conn.Pings(ctx)
	if err == nil {
		return
	}
	if errors.Is(err, websocket.ErrNoPong) {
		w.stream.edge.reject(w.stream.cfg, "no_pong")
	}
	w.stream.abandon()
}

// heard extends the idle time of a peer that has begun; nothing extends the time of a message under way. It runs in the reader,
// while that waits for a message.
func (w *webSocket) heard(ping bool) (alive bool) {
	if ping {
		w.stream.edge.count.keepAlives.Add(1)
	}
	if !w.stream.waiting || !w.stream.begun {
		return true
	}
	return w.stream.await()
}

func (w *webSocket) ended(err error, inMessage bool) {
	switch {
	case errors.Is(err, websocket.ErrText):
		w.stream.edge.reject(w.stream.cfg, "utf8")
	case errors.Is(err, websocket.ErrTooLarge):
		w.stream.edge.reject(w.stream.cfg, wire.BodyTooLarge.String())
	default:
		w.stream.ended(err, inMessage)
	}
}

// goodbye says why we go. It does not wait for the peer's own goodbye for long.
func (w *webSocket) goodbye() {
	soon := time.Now().Add(time.Second)
	w.stream.deadlines.Lock()
	_ = w.stream.nc.SetDeadline(soon)
	w.stream.deadlines.Unlock()
	w.conn.Close()
}
