package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	library "github.com/coder/websocket"
	"go.uber.org/goleak"

	"demarc/telephony/edge/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options() websocket.Options {
	return websocket.Options{
		Path: "/sip", Origins: []string{"*.example.org"}, MaxMessage: 1000, Write: 20 * time.Second, Ping: time.Hour, Pong: 20 * time.Second,
		Heard: func(bool) bool { return true },
	}
}

// upgraded is what comes of an upgrade.
type upgraded struct {
	conn    *websocket.Conn
	refused string
}

// accept takes one connection and upgrades it.
func accept(t *testing.T, o websocket.Options) (address string, done <-chan upgraded) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	result := make(chan upgraded, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		deadline := time.Now().Add(20 * time.Second)
		_ = nc.SetDeadline(deadline)
		c, refused := websocket.Upgrade(nc, deadline, o)
		if c == nil {
			_ = nc.Close()
		} else {
			t.Cleanup(c.Close)
		}
		result <- upgraded{c, refused}
	}()
	return ln.Addr().String(), result
}

// pair returns both ends of a WebSocket.
func pair(t *testing.T, o websocket.Options) (client *library.Conn, server *websocket.Conn) {
	t.Helper()
	address, done := accept(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, _, err := library.Dial(ctx, "ws://"+address+"/sip", &library.DialOptions{
		Subprotocols: []string{"sip"}, HTTPClient: &http.Client{Transport: &http.Transport{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CloseNow() })
	got := <-done
	if got.refused != "" {
		t.Fatalf("refused: %s", got.refused)
	}
	return client, got.conn
}

func TestUpgrades(t *testing.T) {
	good := "GET /sip HTTP/1.1\r\nHost: pbx\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\nOrigin: https://phone.example.org\r\n\r\n"
	for name, c := range map[string]struct{ old, new, status, refused string }{
		"good":           {"", "", "101", ""},
		"own origin":     {"https://phone.example.org", "https://pbx", "101", ""},
		"no origin":      {"Origin: https://phone.example.org\r\n", "", "101", ""},
		"one of several": {"Protocol: sip", "Protocol: chat, SIP", "101", ""},
		"foreign origin": {"https://phone.example.org", "https://example.net", "403", "origin"},
		"null origin":    {"https://phone.example.org", "null", "403", "origin"},
		"path":           {"/sip", "/", "404", "http_404"},
		"no subprotocol": {"Sec-WebSocket-Protocol: sip\r\n", "", "400", "http_400"},
		"other protocol": {"Protocol: sip", "Protocol: sipx", "400", "http_400"},
		"no upgrade":     {"Upgrade: websocket\r\n", "", "426", "http_426"},
		"version":        {"Version: 13", "Version: 8", "400", "http_400"},
		"method":         {"GET", "POST", "405", "http_405"},
		"too long":       {"Host: pbx", "Host: pbx\r\nX: " + strings.Repeat("x", 9000), "", "http_too_long"},
		"not HTTP":       {"GET /sip HTTP/1.1", "REGISTER sip:a SIP/2.0", "", "not_http"},
	} {
		t.Run(name, func(t *testing.T) {
			address, done := accept(t, options())
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(nc, strings.Replace(good, c.old, c.new, 1))
			line, _ := bufio.NewReader(nc).ReadString('\n')
			if c.status == "" && line != "" || c.status != "" && !strings.HasPrefix(line, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("%q, want %s", line, c.status)
			}
			if got := <-done; got.refused != c.refused || (got.conn == nil) != (c.refused != "") {
				t.Errorf("%+v, want %q", got, c.refused)
			}
		})
	}
}

// A message that comes with the upgrade, in one packet, is read behind it.
func TestEarlyMessage(t *testing.T) {
	address, done := accept(t, options())
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	long := strings.Repeat("x", 900)
	frame := append([]byte{0x81, 0x80 | 126, 3, 132, 0, 0, 0, 0}, long...) // masked with zeros
	_, _ = nc.Write(append([]byte("GET /sip HTTP/1.1\r\nHost: pbx\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"), frame...))
	got := <-done
	if got.conn == nil {
		t.Fatal(got.refused)
	}
	if err := got.conn.Next(); err != nil {
		t.Fatal(err)
	}
	if b, err := got.conn.Read(); err != nil || string(b) != long {
		t.Errorf("%q %v", b, err)
	}
	_ = nc.Close()
}

func TestMessagesAreReadWhole(t *testing.T) {
	client, server := pair(t, options())
	for _, text := range []string{"one", "", strings.Repeat("x", 1000), "four"} {
		if err := client.Write(t.Context(), library.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := server.Next(); err != nil {
			t.Fatal(err)
		}
		if b, err := server.Read(); err != nil || string(b) != text {
			t.Errorf("%q %v, want %q", b, err, text)
		}
	}
}

func TestEachMessageIsWrittenAlone(t *testing.T) {
	client, server := pair(t, options())
	wrote := make(chan error, 1)
	go func() { wrote <- server.Write([]byte("text\xffbinarylast"), []int{4, 11, 15}) }()
	for _, want := range []struct {
		kind library.MessageType
		text string
	}{{library.MessageText, "text"}, {library.MessageBinary, "\xffbinary"}, {library.MessageText, "last"}} {
		kind, b, err := client.Read(t.Context())
		if err != nil || kind != want.kind || string(b) != want.text {
			t.Errorf("%v %q %v, want %v", kind, b, err, want)
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// What ends a connection is told to its owner by the error, and to the peer by a code.
func TestBadMessages(t *testing.T) {
	for name, c := range map[string]struct {
		kind library.MessageType
		text string
		err  error
		code library.StatusCode
	}{
		"too large":  {library.MessageBinary, strings.Repeat("x", 1001), websocket.ErrTooLarge, library.StatusMessageTooBig},
		"not UTF-8":  {library.MessageText, "\xff", websocket.ErrText, library.StatusInvalidFramePayloadData},
		"refused":    {library.MessageText, "no SIP", nil, library.StatusPolicyViolation},
		"binary 255": {library.MessageBinary, "\xff", nil, library.StatusPolicyViolation},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, options())
			if err := client.Write(t.Context(), c.kind, []byte(c.text)); err != nil {
				t.Fatal(err)
			}
			err := server.Next()
			if err == nil {
				_, err = server.Read()
			}
			if !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if err == nil {
				server.Refuse("not one whole SIP message")
			}
			closed := make(chan struct{})
			go func() {
				server.Close()
				close(closed)
			}()
			if _, _, err := client.Read(t.Context()); library.CloseStatus(err) != c.code {
				t.Errorf("%v, want %v", err, c.code)
			}
			<-closed
		})
	}
}

// A peer that answers pings is heard, and one that does not is gone.
func TestPings(t *testing.T) {
	o := options()
	o.Ping, o.Pong = 10*time.Millisecond, 50*time.Millisecond
	heard := make(chan bool, 100)
	o.Heard = func(ping bool) bool {
		heard <- ping
		return true
	}
	client, server := pair(t, o)
	read := make(chan error, 1)
	go func() { read <- server.Next() }() // its reader takes the pongs
	quiet, silent := context.WithCancel(t.Context())
	answering := make(chan struct{})
	go func() { // a reader of the library answers pings
		defer close(answering)
		_, _, _ = client.Read(quiet)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	pings := make(chan error, 1)
	go func() { pings <- server.Pings(ctx) }()
	if ping := <-heard; ping {
		t.Error("a pong is taken for a ping")
	}
	cancel()
	if err := <-pings; err != nil {
		t.Errorf("ended by its context: %v", err)
	}
	silent()
	<-answering
	_ = client.CloseNow()
	if err := <-read; err == nil {
		t.Error("a message came of nothing")
	}
}

func TestNoPong(t *testing.T) {
	o := options()
	o.Ping, o.Pong = 10*time.Millisecond, 50*time.Millisecond
	client, server := pair(t, o) // nobody reads at the client: no ping is answered
	read := make(chan error, 1)
	go func() { read <- server.Next() }()
	if err := server.Pings(t.Context()); !errors.Is(err, websocket.ErrNoPong) {
		t.Errorf("%v", err)
	}
	_ = client.CloseNow()
	<-read
}

// The peer's own pings are told of, and answered only while the owner wants it.
func TestPeerPings(t *testing.T) {
	o := options()
	heard := make(chan bool, 1)
	o.Heard = func(ping bool) bool {
		heard <- ping
		return ping
	}
	client, server := pair(t, o)
	read := make(chan error, 1)
	go func() { read <- server.Next() }()
	answers := client.CloseRead(t.Context()) // takes the pong
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		t.Error(err)
	}
	if ping := <-heard; !ping {
		t.Error("a ping is taken for a pong")
	}
	_ = client.CloseNow()
	<-read
	<-answers.Done()
}
