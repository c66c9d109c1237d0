package edge_test

import (
	"context"
	"io"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
)

// BenchmarkRegister is one REGISTER there and its 200 back, client included, without digest and store.
func BenchmarkRegister(b *testing.B) {
	for _, name := range []string{"udp", "tcp"} {
		b.Run(name, func(b *testing.B) {
			e, err := edge.New(edge.Config{Listeners: []edge.Listener{
				{Name: name, Transport: telephony.Transport(name), Address: "127.0.0.1:0"},
			}})
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Listen(b.Context()); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			served := make(chan error, 1)
			go func() { served <- e.Serve(ctx, quiet{}) }()
			nc, err := (&running{Edge: e}).connect(name)
			if err != nil {
				b.Fatal(err)
			}
			raw := []byte(message("REGISTER", name, "1001", "Contact: <sip:1001@192.0.2.1;ob>;expires=60", "Expires: 300",
				`Authorization: Digest username="1001", realm="example.com", nonce="0123456789", response="0123456789abcdef"`))
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nc.Write(raw); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAtLeast(nc, buf, 1); err != nil {
					b.Fatal(err)
				}
			}
			_ = nc.Close()
			cancel()
			<-served
		})
	}
}
