package server

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// Server is the service's HTTP handler. It needs an origin of its own.
type Server struct {
	issuer    string
	people    *people
	authority *oauth.Authority
	store     Store
	limits    Limits
	attempts  *attempts
	pace      *pace
	passwords *passwords
	pages     *template.Template
	now       func() time.Time
	log       *slog.Logger
	handler   http.Handler
}

// New checks the configuration and returns the service.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	who, err := newPeople(cfg.Accounts)
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &Server{
		issuer: cfg.Issuer, people: who, store: cfg.Store, limits: cfg.Limits.withDefaults(), passwords: newPasswords(),
		pages: pages, now: cfg.Now, log: cfg.Log,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.attempts, s.pace = newAttempts(s.limits.Window, s.now), newPace(s.limits, s.now)
	s.authority = oauth.New(oauth.Config{
		Apps: clientsOf(cfg.Apps), Grants: s.store, Bearers: s.store, Clients: s.store, Lifetimes: who.lifetimes,
		Active: who.mayLink, Now: s.now, Log: s.log,
	})
	s.handler = s.wrap(s.routes())
	return s, nil
}

func clientsOf(apps []App) []oauth.Client {
	clients := make([]oauth.Client, len(apps))
	for i, a := range apps {
		clients[i] = a.client()
	}
	return clients
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Sweep removes what has run out. Call it every few minutes.
func (s *Server) Sweep(ctx context.Context) error { return s.store.Sweep(ctx, s.now()) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	const auth, admin, psi = cloudlink.PathAuthentication, cloudlink.PathAdmin, cloudlink.PathPSI
	browser := http.NewCrossOriginProtection()
	browser.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.failPage(w, r, refusal(http.StatusForbidden, "cross_origin",
			"This form was sent from another site and was not accepted. Nothing was changed."))
	}))
	mux.Handle("GET "+auth+"/authorize", http.HandlerFunc(s.showAuthorize))
	mux.Handle("POST "+auth+"/authorize", browser.Handler(http.HandlerFunc(s.postAuthorize)))
	mux.Handle("GET "+auth+"/authorize.css", http.HandlerFunc(s.style))
	mux.Handle("POST "+auth+"/token", http.HandlerFunc(s.token))
	mux.Handle("POST "+auth+"/revoke", http.HandlerFunc(s.revoke))
	mux.Handle("GET "+auth+"/.well-known/jwks", http.HandlerFunc(s.jwks))
	mux.Handle("GET /.well-known/oauth-authorization-server", http.HandlerFunc(s.metadata))
	for pattern, route := range map[string]route{
		"GET " + auth + "/token":                                   {"", s.whoAmI},
		"GET " + admin + "/accounts/{id}":                          {cloudlink.ScopeRead, s.account},
		"GET " + admin + "/users":                                  {cloudlink.ScopeRead, s.users},
		"GET " + admin + "/users/{id}":                             {cloudlink.ScopeRead, s.user},
		"GET " + admin + "/accounts/{id}/clients":                  {cloudlink.ScopeClients, s.clients},
		"POST " + admin + "/accounts/{id}/clients":                 {cloudlink.ScopeClients, s.addClient},
		"DELETE " + admin + "/accounts/{id}/clients/{cid}":         {cloudlink.ScopeClients, s.removeClient},
		"GET " + psi + "/pbxs":                                     {cloudlink.ScopeRead, s.pbxs},
		"GET " + psi + "/connectors":                               {cloudlink.ScopeRead, s.links},
		"DELETE " + psi + "/connectors/{id}":                       {cloudlink.ScopeWrite, s.endLink},
		"GET " + psi + "/users":                                    {cloudlink.ScopeRead, s.users},
		"GET " + psi + "/users/{id}":                               {cloudlink.ScopeRead, s.user},
		"GET " + psi + "/users/{id}/sipendpoints":                  {cloudlink.ScopeRead, s.endpoints},
		"GET " + psi + "/users/{id}/sipendpoints/{eid}":            {cloudlink.ScopeRead, s.endpoint},
		"GET " + psi + "/users/{id}/sipendpoints/{eid}/credential": {cloudlink.ScopeCredential, s.credential},
		"POST " + psi + "/users/{id}/sipendpoints/{eid}/rotate":    {cloudlink.ScopeWrite, s.rotate},
	} {
		mux.Handle(pattern, s.guarded(route))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, notFound()) })
	return mux
}

type correlationKey struct{}

// correlation returns the request's correlation id.
func correlation(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

// wrap gives every reply its correlation id and its bounds, and keeps a panic to its request.
func (s *Server) wrap(next http.Handler) http.Handler {
	const body, deadline = 64 << 10, 30 * time.Second
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, start := account.NewID("cl"), time.Now()
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), correlationKey{}, id), deadline)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, body)
		header := w.Header()
		header.Set(cloudlink.HeaderCorrelationID, id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Strict-Transport-Security", "max-age=31536000")
		seen := &seen{ResponseWriter: w}
		defer func() {
			if v := recover(); v != nil {
				s.log.ErrorContext(ctx, "panic", "correlation", id, "value", v)
				if seen.status == 0 {
					s.fail(seen, r, refusal(http.StatusInternalServerError, "internal",
						"the service failed: tell support the correlation id"))
				}
			}
			s.log.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "status", seen.status,
				"correlation", id, "app", clip(r.Header.Get("X-Mitel-App"), 64), "took", time.Since(start))
		}()
		next.ServeHTTP(seen, r)
	})
}

// seen remembers the status of a reply.
type seen struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the first status and passes it on.
func (s *seen) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write sends body bytes; without a status before it they mean 200.
func (s *seen) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
