package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"demarc/connector"
	"demarc/internal/account"
)

// Config of a Client.
type Config struct {
	ClientID     string
	ClientSecret account.Secret
	RedirectURI  string
	Scopes       []string
	Roots        *x509.CertPool // nil: the system's
	// AllowPrivate names prefixes that may be dialled although they lie inside this network.
	AllowPrivate []netip.Prefix
	Resolver     *net.Resolver // nil: the system's
	// Timeout bounds one call with all its tries and waits, and the reading of its answer; 0: 30 s.
	Timeout time.Duration
	// Wait sleeps between tries; nil: until the time is over or ctx ends.
	Wait func(ctx context.Context, d time.Duration) error
	Now  func() time.Time // nil: time.Now
}

// Client speaks to any number of services.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a Client. Close it to end its idle connections.
func New(cfg Config) (*Client, error) {
	if cfg.ClientID == "" || cfg.ClientSecret == "" || cfg.RedirectURI == "" || len(cfg.Scopes) == 0 {
		return nil, errors.New("cloudlink client needs a client id, a secret, a redirect URI and scopes")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Wait == nil {
		cfg.Wait = wait
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport: bounded{next: newTransport(cfg)},
		// A redirect is handed back as the answer that it is: a service has no reason to send its app elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parseBase reads a service's address: https://host[:port] and nothing else.
func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.String() != "https://"+u.Host {
		return nil, fmt.Errorf("%w: the service's address must be https://host or https://host:port", connector.ErrInvalid)
	}
	return u, nil
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return "443"
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b) && a.User == nil
}
