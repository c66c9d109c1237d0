package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"demarc/gateway"
)

// A stop closes connections that never asked anything, those that come late included, and leaves the others to finish.
func TestStopDoesNotWaitForUnusedConnections(t *testing.T) {
	early, begun, finish := gateway.NewUnused(), make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	}))
	server.Config.ConnState = early.Note
	server.Start()
	defer server.Close()
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		return nc
	}
	used, silent := dial(), dial()
	_, _ = io.WriteString(used, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	early.Close()
	for name, nc := range map[string]net.Conn{"silent": silent, "late": dial()} {
		if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(finish)
	reply, err := http.ReadResponse(bufio.NewReader(used), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if body, err := io.ReadAll(reply.Body); err != nil || string(body) != "done" {
		t.Errorf("the request in hand got %q, %v", body, err)
	}
}
