package client

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// bodyMost bounds an answer: 500 users with endpoints are a tenth of it.
const bodyMost = 4 << 20

var errBody = errors.New("the answer is larger than 4 MiB")

func newTransport(cfg Config) *http.Transport {
	dialer := net.Dialer{
		Timeout: 5 * time.Second, Resolver: cfg.Resolver, ControlContext: newGuard(cfg.AllowPrivate).control,
	}
	return &http.Transport{
		Proxy:                  nil, // a proxy of the environment would dial where the guard does not look
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		IdleConnTimeout:        time.Minute,
		MaxIdleConnsPerHost:    8,
		MaxConnsPerHost:        32,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// bounded names the app and bounds the body of every answer.
type bounded struct{ next *http.Transport }

// RoundTrip sends a request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper may not change its request
	r.Header.Set("X-Mitel-App", "demarc")
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: bodyMost}
	return res, nil
}

// CloseIdleConnections ends connections that nobody uses.
func (b bounded) CloseIdleConnections() { b.next.CloseIdleConnections() }

// boundedBody fails, where io.LimitReader would cut in silence.
type boundedBody struct {
	io.ReadCloser
	left int
}

// Read reads up to the bound.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBody
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}
