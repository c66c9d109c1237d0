package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"demarc/telephony/wire"
)

// webSocket is a stream whose messages come in WebSocket messages, one in each (RFC 7118 §4.2).
type webSocket struct {
	stream *stream
	conn   *websocket.Conn
	frame  bytes.Buffer // the message under way
	code   websocket.StatusCode
	reason string

	stopPings context.CancelFunc
}

// read takes messages in order until the peer leaves, breaks a rule, or the edge stops.
func (w *webSocket) read(ctx context.Context) {
	s := w.stream
	s.out.flush = w.flush
	w.code, w.reason = websocket.StatusGoingAway, "" // unless something else is found
	limits := s.edge.cfg.Limits
	w.conn.SetReadLimit(int64(limits.Message.Size()))
	pings, stop := context.WithCancel(ctx)
	w.stopPings = stop
	s.out.writers.Go(func() { w.pings(pings) })
	var m wire.Message
	for s.await() {
		kind, reader, err := w.conn.Reader(context.Background()) // the deadlines are the connection's
		if err != nil {
			w.ended(err, false)
			return
		}
		if !s.readUntil(time.Now().Add(limits.MessageTime)) {
			return
		}
		if err := w.fill(reader); err != nil {
			w.ended(err, true)
			return
		}
		if !w.message(ctx, kind, &m) || s.edge.isStopping() {
			return
		}
	}
}

// fill reads one message. A large one must not hold its memory for the life of the connection.
func (w *webSocket) fill(r io.Reader) error {
	if w.frame.Reset(); w.frame.Cap() > keptFrame {
		w.frame = bytes.Buffer{}
	}
	_, err := w.frame.ReadFrom(r)
	return err
}

const keptFrame = 8 << 10

// message serves one message; it reports whether the connection may live on.
func (w *webSocket) message(ctx context.Context, kind websocket.MessageType, m *wire.Message) bool {
	s, b := w.stream, w.frame.Bytes()
	if kind == websocket.MessageText && !utf8.Valid(b) { // RFC 6455 §8.1
		s.edge.reject(s.cfg, "utf8")
		w.code, w.reason = websocket.StatusInvalidFramePayloadData, "text is not UTF-8"
		return false
	}
	if len(bytes.Trim(b, "\r\n")) == 0 { // RFC 7118 §6 leaves this to those who want it
		s.edge.count.keepAlives.Add(1)
		if len(b) >= len("\r\n\r\n") {
			s.out.send([]byte("\r\n"))
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
	if err != nil {
		s.edge.refuse(s.flow, m, err)
		w.code, w.reason = websocket.StatusPolicyViolation, "not one whole SIP message"
		return false
	}
	s.edge.dispatch(ctx, s.flow, m)
	return true
}

// flush writes each message in a WebSocket message of its own: text where it is text, since that is what browsers'
// libraries read best.
func (w *webSocket) flush(b []byte, ends []int) error {
	ctx, cancel := context.WithTimeout(context.Background(), w.stream.edge.cfg.Limits.Write)
	defer cancel()
	_ = w.stream.nc.SetWriteDeadline(time.Now().Add(w.stream.edge.cfg.Limits.Write))
	begin := 0
	for _, end := range ends {
		kind := websocket.MessageText
		if !utf8.Valid(b[begin:end]) {
			kind = websocket.MessageBinary
		}
		if err := w.conn.Write(ctx, kind, b[begin:end]); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// pings asks the peer for a sign of life, which also keeps proxies on the way from closing: a browser cannot send pings
// by itself. One that does not answer is gone.
func (w *webSocket) pings(ctx context.Context) {
	defer w.stream.edge.recovered("ping")
	limits := w.stream.edge.cfg.Limits
	tick := time.NewTicker(limits.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_ = w.stream.nc.SetWriteDeadline(time.Now().Add(limits.Write))
		bounded, cancel := context.WithTimeout(ctx, limits.Pong)
		err := w.conn.Ping(bounded)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				w.stream.edge.reject(w.stream.cfg, "no_pong")
			}
			w.stream.abandon()
			return
		}
	}
}

// pinged runs in the reader, while it waits for a message.
func (w *webSocket) pinged(context.Context, []byte) bool {
	w.stream.edge.count.keepAlives.Add(1)
	_ = w.stream.nc.SetWriteDeadline(time.Now().Add(w.stream.edge.cfg.Limits.Write))
	return w.alive()
}

func (w *webSocket) ponged(context.Context, []byte) { w.alive() }

// alive extends the idle time of a peer that has begun; nothing extends the time of a message under way.
func (w *webSocket) alive() bool {
	if !w.stream.waiting || !w.stream.begun {
		return true
	}
	return w.stream.await()
}

func (w *webSocket) ended(err error, inMessage bool) {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		w.stream.edge.reject(w.stream.cfg, wire.BodyTooLarge.String())
		return
	}
	w.stream.ended(err, inMessage)
}

// goodbye says why we go. It does not wait for the peer's own goodbye for long.
func (w *webSocket) goodbye() {
	soon := time.Now().Add(time.Second)
	w.stream.deadlines.Lock()
	_ = w.stream.nc.SetDeadline(soon)
	w.stream.deadlines.Unlock()
	_ = w.conn.Close(w.code, w.reason)
}
