package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
)

// web opens a WebSocket for SIP.
func (r *running) web(name string) *websocket.Conn {
	r.t.Helper()
	if name == "wss" {
		return r.webAt(name, telephony.WSS, "/")
	}
	return r.webAt(name, telephony.WS, "/sip")
}

func (r *running) webAt(listener string, transport telephony.Transport, path string) *websocket.Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	address := string(transport) + "://" + r.Addr(listener).String() + path
	client := &http.Client{Transport: &http.Transport{}}
	if transport == telephony.WSS {
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, ServerName: "localhost"}}
	}
	ws, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: []string{"sip"}, HTTPClient: client})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func sendWeb(t *testing.T, ws *websocket.Conn, kind websocket.MessageType, text string) {
	t.Helper()
	if err := ws.Write(t.Context(), kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, ws *websocket.Conn) (websocket.MessageType, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kind, b, err := ws.Read(ctx)
	return kind, string(b), err
}

func TestWebSocketCarriesOneMessageInEach(t *testing.T) {
	for _, name := range []string{"ws", "wss"} {
		t.Run(name, func(t *testing.T) {
			h := &fake{}
			r := start(t, h, edge.Limits{})
			ws := r.web(name)
			if ws.Subprotocol() != "sip" {
				t.Errorf("subprotocol %q", ws.Subprotocol())
			}
			for user, kind := range map[string]websocket.MessageType{"1": websocket.MessageText, "2": websocket.MessageBinary} {
				sendWeb(t, ws, kind, message("REGISTER", "WSS", user, "Contact: <sip:x@abc.invalid;transport=ws>"))
				got, answer, err := receive(t, ws)
				if err != nil || got != websocket.MessageText || status(answer) != "200" ||
					!strings.Contains(answer, "<sip:x@abc.invalid;transport=ws>") {
					t.Errorf("%v %v\n%s", got, err, answer)
				}
			}
			sendWeb(t, ws, websocket.MessageText, "\r\n\r\n")
			if _, answer, err := receive(t, ws); err != nil || answer != "\r\n" {
				t.Errorf("keep-alive: %q %v", answer, err)
			}
			withoutLength := strings.Replace(message("OPTIONS", "WS", "3"), "Content-Length: 0\r\n", "", 1)
			sendWeb(t, ws, websocket.MessageText, withoutLength)
			if _, answer, err := receive(t, ws); err != nil || status(answer) != "200" {
				t.Errorf("without Content-Length: %q %v", answer, err)
			}
			// What was echoed is no text: the answer is binary.
			sendWeb(t, ws, websocket.MessageBinary, strings.Replace(message("OPTIONS", "WS", "4"), "From: ", "From: \"\xff\" ", 1))
			if kind, answer, err := receive(t, ws); err != nil || kind != websocket.MessageBinary {
				t.Errorf("binary: %v %q %v", kind, answer, err)
			}
			_ = ws.Close(websocket.StatusNormalClosure, "")
			eventually(t, "the flow is closed", func() bool { _, closed := h.seen(); return len(closed) == 1 })
			if _, closed := h.seen(); closed[0].Transport != "ws" && closed[0].Transport != "wss" || closed[0].Listener != name {
				t.Errorf("%+v", closed[0])
			}
		})
	}
}

// telephony/edge/websocket knows what is refused; here it is counted.
func TestWebSocketRefusalsAreCounted(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	for reason, request := range map[string]string{
		"http_404": "GET / HTTP/1.1\r\nHost: pbx\r\n\r\n",
		"not_http": "REGISTER sip:a SIP/2.0\r\n\r\n",
	} {
		nc, err := net.Dial("tcp", r.Addr("ws").String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, request)
		eventually(t, reason, func() bool { return r.Counters().Handshakes[edge.Reject{Listener: "ws", Reason: reason}] == 1 })
		_ = nc.Close()
	}
}

func TestWebSocketClosesWithAReason(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	good := message("OPTIONS", "WS", "1")
	for name, c := range map[string]struct {
		kind   websocket.MessageType
		text   string
		answer string
		code   websocket.StatusCode
	}{
		"not SIP":      {websocket.MessageText, "hello", "", websocket.StatusPolicyViolation},
		"two messages": {websocket.MessageText, good + good, "400", websocket.StatusPolicyViolation},
		"half of one":  {websocket.MessageText, good[:40], "", websocket.StatusPolicyViolation},
		"fault":        {websocket.MessageText, strings.Replace(good, "1 OPTIONS", "1 BYE", 1), "400", websocket.StatusPolicyViolation},
		"not UTF-8":    {websocket.MessageText, strings.Replace(good, "From: ", "From: \"\xff\" ", 1), "", websocket.StatusInvalidFramePayloadData},
		"too large":    {websocket.MessageText, strings.Repeat("x", 100<<10), "", websocket.StatusMessageTooBig},
	} {
		ws := r.web("ws")
		sendWeb(t, ws, c.kind, c.text)
		if c.answer != "" {
			if _, answer, err := receive(t, ws); err != nil || status(answer) != c.answer {
				t.Errorf("%s: %q %v", name, answer, err)
			}
		}
		if _, answer, err := receive(t, ws); websocket.CloseStatus(err) != c.code {
			t.Errorf("%s: %q %v, want %v", name, answer, err, c.code)
		}
	}
}

// frame makes one masked frame of a client (RFC 6455 §5.2).
func frame(first byte, payload []byte) []byte {
	b := []byte{first, 0x80 | byte(min(len(payload), 126))}
	if len(payload) >= 126 {
		b = append(b, byte(len(payload)>>8), byte(len(payload)))
	}
	b = append(b, 0, 0, 0, 0) // a mask of zeros masks nothing
	return append(b, payload...)
}

// rawWeb upgrades by hand, for frames that no library sends.
func (r *running) rawWeb() (net.Conn, *bufio.Reader) {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.Addr("ws").String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(nc, "GET /sip HTTP/1.1\r\nHost: pbx\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\n\r\n")
	in := bufio.NewReader(nc)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			r.t.Fatal(err)
		}
	}
	return nc, in
}

// next reads one frame of the server.
func next(t *testing.T, in *bufio.Reader) (first byte, payload []byte) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		t.Fatal(err)
	}
	size := int(head[1])
	if size == 126 {
		long := make([]byte, 2)
		_, _ = io.ReadFull(in, long)
		size = int(long[0])<<8 | int(long[1])
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(in, payload); err != nil {
		t.Fatal(err)
	}
	return head[0], payload
}

const (
	finText, finBinary, finClose, finPing, finPong, fin = 0x81, 0x82, 0x88, 0x89, 0x8a, 0x80
	startText                                           = 0x01
)

func TestWebSocketFragmentsAndControlFrames(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	nc, in := r.rawWeb()
	text := []byte(message("OPTIONS", "WS", "1"))
	// A ping with a payload between two fragments is answered before the message is whole.
	_, _ = nc.Write(frame(startText, text[:50]))
	_, _ = nc.Write(frame(finPing, []byte("are you there")))
	if first, payload := next(t, in); first != finPong || string(payload) != "are you there" {
		t.Errorf("%x %q", first, payload)
	}
	_, _ = nc.Write(frame(fin, text[50:]))
	if first, payload := next(t, in); first != finText || status(string(payload)) != "200" {
		t.Errorf("%x %q", first, payload)
	}
	_, _ = nc.Write(frame(finClose, []byte{3, 232}))
	if first, payload := next(t, in); first != finClose || !bytes.Equal(payload, []byte{3, 232}) {
		t.Errorf("%x %q", first, payload)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("still open: %v", err)
	}
}

func TestWebSocketBadFramesCloseIt(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	unmasked := append([]byte{finText, 5}, "hello"...)
	for name, raw := range map[string][]byte{
		"unmasked":         unmasked,
		"reserved bit":     frame(finText|0x40, []byte("hello")),
		"unknown opcode":   frame(0x83, []byte("hello")),
		"bare fragment":    frame(fin, []byte("hello")),
		"huge ping":        frame(finPing, make([]byte, 200)),
		"fragmented ping":  frame(0x09, nil),
		"terabyte message": {finBinary, 0x80 | 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		nc, in := r.rawWeb()
		_, _ = nc.Write(raw)
		if name == "terabyte message" {
			_, _ = nc.Write(make([]byte, 200<<10))
		}
		if _, err := io.Copy(io.Discard, in); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWebSocketDeadlines(t *testing.T) {
	limits := edge.Limits{Handshake: 200 * time.Millisecond, FirstMessage: 200 * time.Millisecond}
	r := start(t, &fake{}, limits)
	text := []byte(message("OPTIONS", "WS", "1"))
	drip := func(nc net.Conn, b []byte) {
		for i := range b {
			if _, err := nc.Write(b[i : i+1]); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	count := func(reason string) uint64 {
		c := r.Counters()
		return c.Rejects[edge.Reject{Listener: "ws", Reason: reason}] + c.Handshakes[edge.Reject{Listener: "ws", Reason: reason}]
	}
	t.Run("slow upgrade", func(t *testing.T) {
		nc, err := net.Dial("tcp", r.Addr("ws").String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		go drip(nc, []byte("GET /sip HTTP/1.1\r\nHost: a\r\nX-Padding: "+strings.Repeat("x", 100)))
		eventually(t, "it is cut", func() bool { return count("timeout") > 0 })
	})
	t.Run("silent", func(t *testing.T) {
		r.rawWeb()
		eventually(t, "it is cut", func() bool { return count("silent") > 0 })
	})
	t.Run("slow message", func(t *testing.T) {
		r = start(t, &fake{}, edge.Limits{MessageTime: 200 * time.Millisecond})
		nc, in := r.rawWeb()
		go drip(nc, frame(finText, text))
		go func() { _, _ = io.Copy(io.Discard, in) }()
		eventually(t, "it is cut", func() bool { return count("slow_message") > 0 })
	})
	t.Run("no pong", func(t *testing.T) {
		r = start(t, &fake{}, edge.Limits{Ping: 50 * time.Millisecond, Pong: 200 * time.Millisecond})
		nc, in := r.rawWeb()
		_, _ = nc.Write(frame(finText, text))
		if first, _ := next(t, in); first == finText {
			if first, _ = next(t, in); first != finPing {
				t.Errorf("%x", first)
			}
		}
		eventually(t, "it is cut", func() bool { return count("no_pong") > 0 })
	})
}

// While the peer answers our pings, it is idle for as long as it likes.
func TestWebSocketPongsKeepItOpen(t *testing.T) {
	const idle = 2 * time.Second
	r := start(t, &fake{}, edge.Limits{Idle: idle, Ping: idle / 20})
	ws := r.web("ws")
	sendWeb(t, ws, websocket.MessageText, message("OPTIONS", "WS", "1"))
	if _, _, err := receive(t, ws); err != nil {
		t.Fatal(err)
	}
	quiet, cancel := context.WithTimeout(t.Context(), 2*idle)
	defer cancel()
	if _, _, err := ws.Read(quiet); quiet.Err() == nil { // answers pings meanwhile, and closes the connection itself in the end
		t.Errorf("closed: %v", err)
	}
}

func TestWebSocketSaysGoodbyeAtTheStop(t *testing.T) {
	replies := make(chan func(registration.Reply), 1)
	h := &fake{decide: func(_ *registration.Request, reply func(registration.Reply)) { replies <- reply }}
	r := start(t, h, edge.Limits{})
	ws := r.web("wss")
	sendWeb(t, ws, websocket.MessageText, message("REGISTER", "WSS", "1", "Contact: <sip:1@a.invalid>"))
	reply := <-replies
	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	reply(registration.Reply{Status: 200})
	if _, answer, err := receive(t, ws); err != nil || status(answer) != "200" {
		t.Errorf("%q %v", answer, err)
	}
	if _, _, err := receive(t, ws); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("%v", err)
	}
	<-stopped
	if _, closed := h.seen(); len(closed) != 1 {
		t.Errorf("%d flows reported closed", len(closed))
	}
}

func TestSilentWebSocketsDoNotStopAGoodPhone(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{HalfOpen: 100, SourceHalfOpen: 50, Patience: time.Nanosecond})
	for range 200 {
		nc, err := net.Dial("tcp", r.Addr("wss").String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
	}
	ws := r.web("wss")
	for i := range 3 {
		sendWeb(t, ws, websocket.MessageText, message("REGISTER", "WSS", fmt.Sprint(i), "Contact: <sip:1@a.invalid>"))
		if _, answer, err := receive(t, ws); err != nil || status(answer) != "200" {
			t.Errorf("%q %v", answer, err)
		}
	}
}
