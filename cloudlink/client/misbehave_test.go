package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/client"
	"demarc/connector"
	"demarc/internal/account"
)

// scripted is a service that answers in order as told, and with the last answer from then on.
type scripted struct {
	*httptest.Server
	calls atomic.Int64
}

func script(t *testing.T, answers ...http.HandlerFunc) (*scripted, client.Config) {
	t.Helper()
	s := &scripted{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(s.calls.Add(1))
		answers[min(n, len(answers))-1](w, r)
	}))
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, config(roots)
}

func (s *scripted) source(c *client.Client) *client.Source {
	return c.Source(s.URL, func(context.Context, account.Secret) (account.Secret, error) { return "token", nil })
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(cloudlink.HeaderCorrelationID, "corr-1")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

const onePBX = `{"count":1,"_links":{"self":"x"},"_embedded":{"items":[{"pbxId":"p"}]}}`

func TestGetsAreTriedAgain(t *testing.T) {
	date := time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat)
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		calls   int64
		good    bool
		least   time.Duration // of the first wait
		most    time.Duration
	}{
		"429 with seconds": {[]http.HandlerFunc{status(429, "Retry-After", "7"), body(onePBX)}, 2, true,
			7 * time.Second, 8 * time.Second},
		"429 with a date": {[]http.HandlerFunc{status(429, "Retry-After", date), body(onePBX)}, 2, true,
			1 * time.Second, 4 * time.Second},
		"503 without": {[]http.HandlerFunc{status(503), body(onePBX)}, 2, true, 150 * time.Millisecond,
			301 * time.Millisecond},
		"500 three times": {[]http.HandlerFunc{status(500), status(502), status(504), body(onePBX)}, 4, true, 0,
			time.Second},
		"500 for ever":    {[]http.HandlerFunc{status(500)}, 4, false, 0, time.Second},
		"429 for an hour": {[]http.HandlerFunc{status(429, "Retry-After", "3600")}, 1, false, 0, 0},
		"429 with nonsense": {[]http.HandlerFunc{status(429, "Retry-After", "soon"), body(onePBX)}, 2, true, 0,
			time.Second},
		"404":                 {[]http.HandlerFunc{status(404)}, 1, false, 0, 0},
		"bad JSON":            {[]http.HandlerFunc{body(`{"count":`)}, 1, false, 0, 0},
		"HTML":                {[]http.HandlerFunc{body(`<html>`)}, 1, false, 0, 0},
		"redirect off-host":   {[]http.HandlerFunc{status(302, "Location", "https://evil.example/")}, 1, false, 0, 0},
		"redirect to itself":  {[]http.HandlerFunc{status(307, "Location", "/psi/2017-09-01/pbxs")}, 1, false, 0, 0},
		"connection cut once": {[]http.HandlerFunc{cut, body(onePBX)}, 2, true, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s, cfg := script(t, test.answers...)
			var waits []time.Duration
			cfg.Wait = func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}
			_, err := s.source(newClient(t, cfg)).PBXs(t.Context())
			if (err == nil) != test.good || s.calls.Load() != test.calls {
				t.Fatalf("%d calls, %v; want %d, good %v", s.calls.Load(), err, test.calls, test.good)
			}
			if len(waits) != int(test.calls)-1 {
				t.Fatalf("waits %v", waits)
			}
			if len(waits) > 0 && (waits[0] < test.least || waits[0] > test.most) {
				t.Errorf("waited %v, want %v to %v", waits[0], test.least, test.most)
			}
		})
	}
}

// cut ends the connection instead of answering.
func cut(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = c.Close()
	}
}

func TestErrorsKeepWhatSupportAsksFor(t *testing.T) {
	s, cfg := script(t, status(429, "Retry-After", "3600"))
	_, err := s.source(newClient(t, cfg)).PBXs(t.Context())
	var e *cloudlink.Error
	if !errors.As(err, &e) || e.CorrelationID != "corr-1" || e.RetryAfter != time.Hour ||
		!errors.Is(err, connector.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestTokenRequestsAreNeverTriedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"429":        {status(429, "Retry-After", "1"), connector.ErrUnreachable},
		"503":        {status(503), connector.ErrUnreachable},
		"redirect":   {status(307, "Location", "https://evil.example/"), connector.ErrUnreachable},
		"cut":        {cut, connector.ErrUnreachable},
		"bad JSON":   {body(`{`), connector.ErrUnreachable},
		"no token":   {typed(`{"token_type":"Bearer"}`), connector.ErrUnreachable},
		"no refresh": {typed(`{"access_token":"a","token_type":"Bearer","expires_in":9}`), connector.ErrUnreachable},
		"no life":    {lives(`0`), connector.ErrUnreachable},
		"past":       {lives(`-1`), connector.ErrUnreachable},
		"ages":       {lives(`40000000`), connector.ErrUnreachable},
		"more ages":  {lives(`99999999999999`), connector.ErrUnreachable},
		"infinite":   {lives(`1e400`), connector.ErrUnreachable},
		"soon":       {lives(`"soon"`), connector.ErrUnreachable},
		"not a bearer": {typed(`{"access_token":"a","refresh_token":"r","token_type":"mac","expires_in":9}`),
			connector.ErrUnreachable},
		"endless":        {endless, connector.ErrUnreachable},
		"invalid client": {status(401), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, cfg := script(t, test.answer)
			cfg.Timeout = 2 * time.Second
			_, err := newClient(t, cfg).Exchange(t.Context(), s.URL, "the-secret-code", strings.Repeat("v", 43))
			if err == nil || errors.Is(err, connector.ErrUnreachable) != (test.want != nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if s.calls.Load() != 1 {
				t.Errorf("%d requests", s.calls.Load())
			}
			if text := fmt.Sprint(err); strings.Contains(text, "the-secret-code") || strings.Contains(text, "vvvv") {
				t.Errorf("the error tells secrets: %v", err)
			}
		})
	}
}

// lives is an answer with a lifetime as it is written.
func lives(expiresIn string) http.HandlerFunc {
	return typed(`{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":` + expiresIn + `}`)
}

// A service need not say how long a token lives (RFC 6749 §5.1): then it lives for five minutes.
func TestLifetimeOfATokenIsRecommended(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   time.Duration
	}{
		"untold":    {typed(`{"access_token":"a","refresh_token":"r","token_type":"Bearer"}`), 5 * time.Minute},
		"null":      {lives(`null`), 5 * time.Minute},
		"an hour":   {lives(`3600`), time.Hour},
		"as a text": {lives(`"3600"`), time.Hour},
		"a year":    {lives(`31622400`), 366 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			for _, way := range []string{"exchange", "refresh"} {
				s, cfg := script(t, test.answer)
				c, before := newClient(t, cfg), time.Now()
				ask := func() (connector.Tokens, error) {
					return c.Exchange(t.Context(), s.URL, "code", strings.Repeat("v", 43))
				}
				if way == "refresh" {
					ask = func() (connector.Tokens, error) { return c.Refresh(t.Context(), s.URL, "r") }
				}
				got, err := ask()
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				if got.ExpiresAt.Before(before.Add(test.want-time.Second)) || got.ExpiresAt.After(time.Now().Add(test.want+time.Second)) {
					t.Errorf("%s: it ends at %v, asked for at %v", way, got.ExpiresAt, before)
				}
			}
		})
	}
}

func typed(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, text)
	}
}

// endless writes until the client has had enough.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"access_token":"`)
	chunk := []byte(strings.Repeat("x", 64<<10))
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestEndlessBody(t *testing.T) {
	s, cfg := script(t, endless)
	_, err := s.source(newClient(t, cfg)).PBXs(t.Context())
	if err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") || !errors.Is(err, connector.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestSlowDrip(t *testing.T) {
	var wg sync.WaitGroup
	defer wg.Wait()
	s, cfg := script(t, func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-time.After(20 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	})
	cfg.Timeout = 500 * time.Millisecond
	start := time.Now()
	_, err := s.source(newClient(t, cfg)).PBXs(t.Context())
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %v, want an end by the total deadline", err, time.Since(start))
	}
}

func TestNextLinks(t *testing.T) {
	page := func(next string) string {
		return fmt.Sprintf(`{"count":1,"_links":{"self":"x","next":%q},"_embedded":{"items":[{"userId":"u"}]}}`, next)
	}
	for name, test := range map[string]struct {
		next string
		good bool
	}{
		"relative":       {"?$skiptoken=abc", true},
		"absolute path":  {cloudlink.PathPSI + "/users?$skiptoken=abc", true},
		"another host":   {"https://evil.example" + cloudlink.PathPSI + "/users", false},
		"another port":   {"https://127.0.0.1:1" + cloudlink.PathPSI + "/users", false},
		"protocol-less":  {"//evil.example" + cloudlink.PathPSI + "/users", false},
		"plain http":     {"http://127.0.0.1" + cloudlink.PathPSI + "/users", false},
		"userinfo":       {"https://127.0.0.1@evil.example" + cloudlink.PathPSI + "/users", false},
		"another API":    {"/authentication/2017-09-01/revoke", false},
		"up and out":     {cloudlink.PathPSI + "/../../admin/2017-09-01/users", false},
		"itself":         {"?$top=100&$expand=sipendpoints", false},
		"not an address": {"https://%zz", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, cfg := script(t, body(page(test.next)))
			_, next, err := s.source(newClient(t, cfg)).Users(t.Context(), "")
			if (err == nil) != test.good || (test.good && !strings.HasPrefix(next, s.URL+cloudlink.PathPSI+"/users?")) {
				t.Errorf("next %q, %v", next, err)
			}
		})
	}
	s, cfg := script(t, body(page("")))
	src := s.source(newClient(t, cfg))
	_, _, err := src.Users(t.Context(), "https://evil.example"+cloudlink.PathPSI+"/users")
	if err == nil || s.calls.Load() != 0 {
		t.Errorf("a stored link to elsewhere was followed: %v", err)
	}
}

func TestUntrustedCertificateIsNotTriedAgain(t *testing.T) {
	s, cfg := script(t, body(onePBX))
	cfg.Roots = x509.NewCertPool()
	cfg.Wait = func(context.Context, time.Duration) error {
		t.Error("tried again")
		return nil
	}
	_, err := s.source(newClient(t, cfg)).PBXs(t.Context())
	if !errors.Is(err, connector.ErrUnreachable) || s.calls.Load() != 0 {
		t.Errorf("got %v", err)
	}
}
