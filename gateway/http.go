package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// startHTTP mounts and serves last, when everything behind the handlers is up.
func (g *Gateway) startHTTP(context.Context) error {
	if g.listeners.metrics != nil {
		g.serveHTTP("health", g.listeners.metrics, nil, g.healthHandler())
	}
	if g.listeners.cloudlink != nil {
		g.serveHTTP("cloudlink", g.listeners.cloudlink, g.certificates.https, g.cloudlink.handler)
	}
	if g.listeners.http == nil {
		return nil
	}
	public, operator := g.handlers()
	g.serveHTTP("api and portal", g.listeners.http, g.certificates.https, public)
	socket, err := g.operatorListener()
	if err != nil {
		return fmt.Errorf("operator socket: %w", err)
	}
	g.serveHTTP("operator socket", socket, nil, operator)
	g.onStop("event streams", func(context.Context) error { close(g.connector.done); return nil })
	return nil
}

// listen opens a TCP listener; a busy port is told with what to do.
func listen(key, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w (choose another address with %s, or end the program that has it)", err, key)
	}
	return l, nil
}

// serveHTTP serves within bounds until the stop hook, which lets requests in hand finish. tlsConfig nil means plain HTTP.
func (g *Gateway) serveHTTP(name string, l net.Listener, tlsConfig *tls.Config, handler http.Handler) {
	base, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug), // handshakes that strangers break off
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	if tlsConfig != nil {
		server.TLSConfig = tlsConfig.Clone()
		server.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		bounded := limit(l, httpConnections, httpPerSource)
		if tlsConfig != nil {
			err = server.ServeTLS(bounded, "", "")
		} else {
			err = server.Serve(bounded)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("HTTP listener ended", "name", name, "error", err)
		}
	}()
	g.onStop("http listener "+name, func(ctx context.Context) error {
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		<-done
		return err
	})
}

// operatorListener opens the Unix socket for commands on this machine; only the owner of the data directory reaches it.
func (g *Gateway) operatorListener() (net.Listener, error) {
	path := g.cfg.OperatorSocket()
	// The store's lock says that no other process lives in this directory: a socket left here is a dead one's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		if len(path) > 100 {
			err = fmt.Errorf("%w (a socket's path may have about 100 characters: use a shorter data_dir)", err)
		}
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// publicURL returns https://name:port of a listener; port 443 is left out.
func (g *Gateway) publicURL(configured string, l net.Listener) string {
	if configured != "" {
		return strings.TrimSuffix(configured, "/")
	}
	port := l.Addr().(*net.TCPAddr).Port
	if port == 443 {
		return "https://" + g.cfg.ServerName()
	}
	return fmt.Sprintf("https://%s:%d", g.cfg.ServerName(), port)
}
