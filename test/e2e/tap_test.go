package e2e_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/pki"
)

// tap stands before the CloudLink-like service under a certificate of its own and keeps what goes through.
type tap struct {
	authority *pki.Authority
	url       string
	mute      atomic.Bool // while set, the gateway's requests for tokens get no answer

	mu  sync.Mutex
	all []exchange
}

// exchange is one request with its reply.
type exchange struct {
	request  *http.Request
	sent     string // body of the request
	status   int
	header   http.Header
	received string
}

// form returns a field of a posted form.
func (e exchange) form(name string) string {
	values, _ := url.ParseQuery(e.sent)
	return values.Get(name)
}

func (e exchange) cookie(name string) string {
	for _, c := range (&http.Response{Header: e.header}).Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// newTap leads to the service at 127.0.0.1:port, whose CA is given.
func newTap(t *testing.T, port string, ca []byte) *tap {
	t.Helper()
	authority, err := pki.LoadOrCreate(t.TempDir(), []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &tap{authority: authority, url: "https://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}
	inner := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: "localhost:" + port})
			r.Out.Host = r.In.Host
		},
		Transport: inner, ModifyResponse: x.keep, ErrorLog: log.New(io.Discard, "", 0),
	}
	server := &http.Server{
		Handler: x.muted(buffered(proxy)), TLSConfig: authority.ServerConfig(), ErrorLog: proxy.ErrorLog,
	}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		_ = server.Close()
		inner.CloseIdleConnections()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return x
}

func (x *tap) muted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x.mute.Load() && strings.HasSuffix(r.URL.Path, "/token") {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// buffered lets a request's body be read twice.
func buffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		next.ServeHTTP(w, r)
	})
}

func (x *tap) keep(r *http.Response) error {
	received, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(received))
	sent, err := r.Request.GetBody()
	if err != nil {
		return err
	}
	body, err := io.ReadAll(sent)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all = append(x.all, exchange{
		request: r.Request, sent: string(body), status: r.StatusCode, header: r.Header.Clone(), received: string(received),
	})
	return err
}

// find returns the last exchange that is as wished.
func (x *tap) find(t *testing.T, what string, is func(exchange) bool) exchange {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := len(x.all) - 1; i >= 0; i-- {
		if is(x.all[i]) {
			return x.all[i]
		}
	}
	t.Fatalf("the service never saw %s", what)
	return exchange{}
}

// granted finds the token endpoint's reply to a kind of grant.
func (x *tap) granted(t *testing.T, kind string) exchange {
	t.Helper()
	return x.find(t, "a grant of "+kind, func(e exchange) bool {
		return strings.HasSuffix(e.request.URL.Path, "/token") && e.form("grant_type") == kind && e.status == http.StatusOK
	})
}
