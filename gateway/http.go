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
	"sync"
	"time"

	"demarc/internal/config"
)

// startHTTP mounts and serves last, when everything behind the handlers is up.
func (g *Gateway) startHTTP(context.Context) error {
	g.onStop("http listeners", g.stopHTTP)
	health := g.healthHandler()
	if g.listeners.metrics != nil {
		g.serveHTTP("health", g.listeners.metrics, nil, health)
	}
	if g.listeners.cloudlink != nil {
		g.serveHTTP("cloudlink", g.listeners.cloudlink, g.certificates.https, g.cloudlink.handler)
	}
	routes := g.routes()
	if g.listeners.http != nil {
		g.serveHTTP("api and portal", g.listeners.http, g.certificates.https, g.publicHandler(routes))
	}
	socket, err := g.operatorListener()
	if err != nil {
		return fmt.Errorf("operator socket: %w", err)
	}
	if socket != nil {
		g.serveHTTP("operator socket", socket, nil, operatorHandler(routes, health))
	}
	if g.listeners.http != nil {
		g.onStop("event streams", func(context.Context) error { close(g.connector.done); return nil })
	}
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

// stopHTTP stops all HTTP servers at once: each gives its HTTP/2 peers a second to hear that.
func (g *Gateway) stopHTTP(ctx context.Context) error {
	errs := make([]error, len(g.listeners.stops))
	var stopping sync.WaitGroup
	for i, stop := range g.listeners.stops {
		stopping.Go(func() { errs[i] = stop(ctx) })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// serveHTTP serves within bounds until stopHTTP, which lets requests in hand finish. tlsConfig nil means plain HTTP.
func (g *Gateway) serveHTTP(name string, l net.Listener, tlsConfig *tls.Config, handler http.Handler) {
	base, cancel := context.WithCancel(context.Background())
	early, bounded := newUnused(), limit(l, httpConnections, httpPerSource)
	g.listeners.limits.Store(name, bounded)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug), // handshakes that strangers break off
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         early.note,
	}
	if tlsConfig != nil {
		server.TLSConfig = tlsConfig.Clone()
		server.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if tlsConfig != nil {
			err = server.ServeTLS(bounded, "", "")
		} else {
			err = server.Serve(bounded)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("HTTP listener ended", "name", name, "error", err)
		}
	}()
	g.listeners.stops = append(g.listeners.stops, func(ctx context.Context) error {
		defer cancel()
		early.close()
		err := server.Shutdown(ctx)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, errors.Join(err, server.Close()))
		}
		<-done
		return err
	})
}

// operatorListener opens the Unix socket for commands on this machine; only the owner of the data directory reaches it. On
// PostgreSQL two processes may live in one directory: then it is the one with the role connector that has the socket, since
// it serves all commands, and the other's is nil.
func (g *Gateway) operatorListener() (net.Listener, error) {
	path := g.cfg.OperatorSocket()
	if living, err := net.Dial("unix", path); err == nil {
		_ = living.Close()
		if !g.cfg.Has(config.RoleConnector) {
			g.log.Info("another process serves the operator's socket of this data directory", "socket", path)
			return nil, nil
		}
	}
	// Else a socket left here is a dead one's.
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
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	made, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	g.onStop("operator socket's file", func(context.Context) error {
		if now, err := os.Stat(path); err == nil && os.SameFile(made, now) { // another process may have put its own there
			return os.Remove(path)
		}
		return nil
	})
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
