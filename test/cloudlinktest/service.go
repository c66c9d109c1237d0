package cloudlinktest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/server"
	"demarc/internal/account"
	"demarc/internal/pki"
	"demarc/internal/seal/sealtest"
	"demarc/store"
	storecloudlink "demarc/store/cloudlink"
	"demarc/store/storetest"
)

// What every Service knows.
const (
	Password    = "correct horse battery staple"
	Admin       = "admin@acme.example" // may link
	Clerk       = "clerk@acme.example" // may not
	OtherAdmin  = "admin@other.example"
	ClientID    = "demarc"
	Secret      = account.Secret("a client secret for tests")
	RedirectURI = "https://portal.example/connect/callback"
	AdminTool   = "admin-tool" // an app that may ask for admin:clients too
)

// Scopes are those that demarc asks for.
const Scopes = cloudlink.ScopeRead + " " + cloudlink.ScopeWrite + " " + cloudlink.ScopeCredential

// Service is a running service with two accounts, "acme" and "other".
type Service struct {
	URL   string
	Roots *x509.CertPool
	Clock *Clock
	Store *storecloudlink.Store
	Acme  *PBX
	Other *PBX
	Log   *Log

	Untold *atomic.Bool // while it is set, answers with tokens do not say how long those live
}

// Start runs a service on SQLite until the test ends.
func Start(t testing.TB, change ...func(*server.Config)) *Service {
	t.Helper()
	return StartOn(t, storetest.SQLite(t), change...)
}

// StartOn runs a service on a given store.
func StartOn(t testing.TB, db *store.DB, change ...func(*server.Config)) *Service {
	t.Helper()
	s := &Service{
		Clock: NewClock(), Store: storecloudlink.New(db, sealtest.New(t)), Acme: NewPBX("acme.example"),
		Other: NewPBX("other.example"), Log: new(Log), Untold: new(atomic.Bool),
	}
	s.run(t, change)
	return s
}

// Restart runs another service on the same state, under a changed configuration and another address.
func (s *Service) Restart(t testing.TB, change ...func(*server.Config)) *Service {
	t.Helper()
	next := *s
	next.run(t, change)
	return &next
}

func (s *Service) run(t testing.TB, change []func(*server.Config)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "https://" + listener.Addr().String()
	cfg := s.config(t)
	for _, c := range change {
		c(&cfg)
	}
	handler, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, listener, s.untold(handler))
}

func (s *Service) config(t testing.TB) server.Config {
	hash, err := server.HashPassword(Password)
	if err != nil {
		t.Fatal(err)
	}
	scopes := []string{cloudlink.ScopeRead, cloudlink.ScopeWrite, cloudlink.ScopeCredential}
	return server.Config{
		Issuer: s.URL, Store: s.Store, Now: s.Clock.Now,
		Log: slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Apps: []server.App{
			{ID: ClientID, Name: "Demarc", Secret: Secret, RedirectURIs: []string{RedirectURI}, Scopes: scopes},
			{
				ID: AdminTool, Name: "Admin tool", Secret: Secret, RedirectURIs: []string{RedirectURI},
				Scopes: append(scopes, cloudlink.ScopeClients),
			},
		},
		Accounts: []server.Account{
			{ID: "acme", Name: "Acme GmbH", PBX: s.Acme, Admins: []server.Admin{
				{Email: Admin, Name: "Ada Admin", Role: "admin", PasswordHash: hash, PhoneSystemIntegration: true},
				{Email: Clerk, Name: "Carl Clerk", Role: "support", PasswordHash: hash},
			}},
			{ID: "other", Name: "Other Ltd", PBX: s.Other, Admins: []server.Admin{
				{Email: OtherAdmin, Name: "Olga Other", Role: "owner", PasswordHash: hash, PhoneSystemIntegration: true},
			}},
		},
	}
}

// serve answers over TLS with a certificate of a CA of its own.
func (s *Service) serve(t testing.TB, listener net.Listener, handler http.Handler) {
	authority, err := pki.LoadOrCreate(t.TempDir(), []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.Roots = authority.Pool()
	web := &http.Server{
		Handler: handler, TLSConfig: authority.ServerConfig(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(s.Log, nil), slog.LevelInfo),
	}
	ended := make(chan error, 1)
	go func() { ended <- web.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		_ = web.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the service ended by itself: %v", err)
		}
	})
}

// Clock is a clock that tests turn.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at the real time, so that expiries which others compute with theirs make sense.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Second)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance turns the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log collects what is logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends one record.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
