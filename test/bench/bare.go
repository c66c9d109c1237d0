package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-chi/chi/v5"
)

// bareServer is what a fetch would cost if nothing had to be known about the device.
type bareServer struct {
	*process
	address string
}

// startBare starts this program again as the bare server, with the other server's certificate.
func (b *bench) startBare(ctx context.Context, d *demarc, a answer) (*bareServer, error) {
	dir := b.scratch()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "body")
	if err := os.WriteFile(file, a.body, 0o600); err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &bareServer{address: ports[0]}
	s.process, err = start(nil, dir, self, "bare", ports[0], filepath.Join(d.dir, "pki"), file, a.etag)
	if err != nil {
		return nil, err
	}
	return s, s.await(ctx, func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// bare serves one body under one ETag to everybody, with the settings of demarc's own listener.
func bare(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("bare ADDRESS PKI-DIRECTORY BODY-FILE ETAG")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(args[1], "server.pem"), filepath.Join(args[1], "server.key"))
	if err != nil {
		return err
	}
	body, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	routes := chi.NewRouter()
	routes.Get("/v1/devices/{deviceId}/credential", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", args[3])
		w.Header().Set("Cache-Control", "no-store")
		if r.Header.Get("If-None-Match") != "" { // every client here knows the current one
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	server := &http.Server{
		Addr: args[0], Handler: routes, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServeTLS("", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("bare server: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}
