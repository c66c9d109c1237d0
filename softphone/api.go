package softphone

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	apiTimeout  = 15 * time.Second // one request, body included
	apiMaxBody  = 1 << 20
	maxWait     = 30 * time.Minute // what a server may ask us to wait at most
	codePending = "credential_pending"
)

// apiClient speaks the client API of one server.
type apiClient struct {
	base *url.URL
	host string
	http *http.Client
}

// newAPIClient trusts the authorities in ca alone, or the system's when ca is empty.
func newAPIClient(server string, ca []byte) (*apiClient, error) {
	base, err := serverURL(server)
	if err != nil {
		return nil, err
	}
	roots, err := rootPool(ca)
	if err != nil {
		return nil, err
	}
	return &apiClient{base: base, host: base.Hostname(), http: &http.Client{
		Timeout: apiTimeout,
		// A bearer token is for this server: a redirect is an answer we do not understand.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     time.Minute,
		},
	}}, nil
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// rootPool returns nil, the system's authorities, for an empty ca.
func rootPool(ca []byte) (*x509.CertPool, error) {
	if len(bytes.TrimSpace(ca)) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CA certificate cannot be read: it must be PEM")
	}
	return pool, nil
}

type apiReply struct {
	status     int
	etag       string
	retryAfter time.Duration
	body       []byte
	problem    problem
}

// problem is the part of RFC 9457 that we read.
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func (p problem) text(status int) string {
	switch {
	case p.Detail != "":
		return plain(p.Detail, 400)
	case p.Title != "":
		return plain(p.Title, 100)
	}
	return fmt.Sprintf("HTTP status %d %s", status, http.StatusText(status))
}

// do sends one request. Its error is a *Failure of the network; a status is not an error.
func (c *apiClient) do(ctx context.Context, method, path string, token Secret, etag string, in any) (*apiReply, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("client API: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), body)
	if err != nil {
		return nil, fmt.Errorf("client API: %w", err)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, networkFailure(err, c.host)
	}
	defer resp.Body.Close()
	return c.read(resp)
}

func (c *apiClient) read(resp *http.Response) (*apiReply, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, apiMaxBody+1))
	if err != nil {
		return nil, networkFailure(err, c.host)
	}
	if len(raw) > apiMaxBody {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrBadReply, apiMaxBody)
	}
	reply := &apiReply{
		status: resp.StatusCode, etag: resp.Header.Get("ETag"), body: raw,
		retryAfter: parseRetryAfter(resp.Header.Get("Retry-After")),
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode >= 400 && kind == "application/problem+json" {
		_ = json.Unmarshal(raw, &reply.problem) // a damaged problem leaves the status to speak
	}
	return reply, nil
}

// decode reads the body of a success.
func (r *apiReply) decode(out any) error {
	if err := json.Unmarshal(r.body, out); err != nil {
		return fmt.Errorf("%w: is this a demarc server? %w", ErrBadReply, err)
	}
	return nil
}

// failure is for every status that the caller has no better word for.
func (r *apiReply) failure() *Failure {
	return &Failure{
		Cause: CauseRefused, Code: r.status, retryAfter: r.retryAfter,
		Text: "the server could not answer: " + r.problem.text(r.status),
	}
}

// parseRetryAfter reads seconds or a date (RFC 9110 §10.2.3); SIP adds a comment and parameters after the seconds
// (RFC 3261 §20.33). What cannot be read is 0.
func parseRetryAfter(s string) time.Duration {
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	var wait time.Duration
	if digits > 0 {
		seconds, err := strconv.Atoi(s[:digits])
		if err != nil {
			return maxWait
		}
		wait = min(time.Duration(min(seconds, 1<<20))*time.Second, maxWait)
	} else if at, err := http.ParseTime(s); err == nil {
		wait = min(time.Until(at), maxWait)
	}
	return max(wait, 0)
}
