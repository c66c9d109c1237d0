package gateway_test

import (
	"io"
	"net"
	"testing"
	"time"

	"demarc/gateway"
)

// served reports whether a connection gets its byte, or is closed.
func served(t *testing.T, address string) (net.Conn, bool) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return c, err == nil
}

func TestConnectionsAreBounded(t *testing.T) {
	for name, bounds := range map[string][2]int{"all": {3, 100}, "one source": {100, 3}} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			bounded := gateway.Limit(l, bounds[0], bounds[1])
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := bounded.Accept()
					if err != nil {
						return
					}
					_, _ = c.Write([]byte("x"))
					go func() {
						_, _ = io.Copy(io.Discard, c)
						_ = c.Close()
						_ = c.Close() // closing twice gives one place back
					}()
				}
			}()
			t.Cleanup(func() { _ = l.Close(); <-done })
			var first net.Conn
			for i := range 3 {
				c, ok := served(t, l.Addr().String())
				if !ok {
					t.Fatalf("connection %d was refused", i)
				}
				first = c
			}
			if _, ok := served(t, l.Addr().String()); ok {
				t.Fatal("a fourth connection was served")
			}
			if n := bounded.Refused(); n != 1 {
				t.Errorf("%d connections counted as refused", n)
			}
			_ = first.Close()
			deadline := time.Now().Add(20 * time.Second)
			for {
				if _, ok := served(t, l.Addr().String()); ok {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the place of a closed connection stays taken")
				}
			}
			if _, ok := served(t, l.Addr().String()); ok {
				t.Fatal("one more than may was served")
			}
		})
	}
}
