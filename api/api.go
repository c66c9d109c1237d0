package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"demarc/internal/access"
	"demarc/internal/requestlog"
)

// Config is what the routes stand on.
type Config struct {
	Access       Access
	Provisioning Provisioning // nil on a node without the role connector: then the operator is served calls, reach and trace alone
	Connectors   Connectors
	Sync         Syncer
	Calls        Calls
	Trace        Tracer  // nil where there is no telephony
	Reach        Reacher // likewise
	Guesses      Guesses
	ServerURL    string // https://host:port that members' browsers reach
	CAPEM        []byte // the private CA; empty with a public certificate
	Version      string
	Log          *slog.Logger
	Now          func() time.Time
}

const (
	smallBody  = 16 << 10
	importBody = 5 << 20
)

type server struct {
	Config
	api huma.API
}

// New returns the handler for the public listener: devices by bearer token, members by session cookie. It answers
// /v1/…, /provision/{token} and /ca.pem.
func New(c Config) http.Handler {
	s := newServer(c)
	r := s.router(identifyPublic, s.everything)
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, newProblem(http.StatusForbidden, "cross_origin", "A page of another site sent this request. "+
			"Open the portal itself and try again."))
	}))
	return requestlog.Wrap(c.Log, "api", guard.Handler(r))
}

// NewOperator returns the handler for the unix socket in the data directory: whoever can open it is the operator. The
// header Demarc-Account names the account by id or SIP domain; it may be left out while there is only one.
func NewOperator(c Config) http.Handler {
	s := newServer(c)
	routes := s.everything
	if c.Provisioning == nil {
		routes = s.everywhere
	}
	return requestlog.Wrap(c.Log, "operator", s.router(identifyOperator, routes))
}

// Describe returns the OpenAPI 3.1 description as JSON.
func Describe(version string) ([]byte, error) {
	s := newServer(Config{Version: version, Log: slog.New(slog.DiscardHandler)})
	s.router(identifyPublic, s.everything)
	return s.api.OpenAPI().MarshalJSON()
}

func newServer(c Config) *server {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &server{Config: c}
}

func (s *server) router(identify func(*http.Request) caller, routes func()) *chi.Mux {
	r := chi.NewRouter()
	r.Use(secureHeaders, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(withCaller(r.Context(), identify(r))))
		})
	})
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) { writeProblem(w, s.absent()) })
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "This address has other methods: "+
			"see /v1/openapi.json."))
	})
	s.api = humachi.New(r, s.humaConfig())
	routes()
	describeProblems(s.api.OpenAPI())
	if s.Provisioning != nil {
		r.Get("/provision/{token}", s.document)
		r.Get("/ca.pem", s.ca)
	}
	return r
}

func (s *server) everything() {
	s.enrolmentRoutes()
	s.deviceRoutes()
	s.userRoutes()
	s.codeRoutes()
	s.memberRoutes()
	s.accountRoutes()
	s.connectorRoutes()
	s.syncRoutes()
	s.everywhere()
}

// everywhere is what a node without the role connector serves its operator too.
func (s *server) everywhere() {
	s.traceRoutes()
	s.reachRoutes()
	s.callRoutes()
}

// absent is the 404 of an address that is not served here.
func (s *server) absent() *Problem {
	if s.Provisioning == nil {
		return newProblem(http.StatusNotFound, "other_node", "This node has not the role connector: ask the operator's socket of "+
			"one that has. Here there are calls, reach, the trace and the health of this node.")
	}
	return notFound()
}

func (s *server) humaConfig() huma.Config {
	c := huma.DefaultConfig("demarc", s.Version)
	c.OpenAPIPath = "/v1/openapi"
	c.DocsPath, c.SchemasPath = "", "" // the docs page would load scripts from elsewhere
	c.CreateHooks = nil                // no $schema links in bodies
	c.Transformers = []huma.Transformer{problemTransformer}
	c.Info.Description = "Enrol softphones, hand them SIP credentials, and see why a phone does not work."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"device":  {Type: "http", Scheme: "bearer", Description: "The token that enrolment gave to the device."},
		"session": {Type: "apiKey", In: "cookie", Name: SessionCookie, Description: "A member's portal session."},
	}
	return c
}

// SessionCookie is the portal's cookie. The __Host- prefix ties it to this very host over HTTPS.
const SessionCookie = "__Host-demarc"

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// route describes one operation. Who may use it stands in the security list: "device", "session" or none.
func route(method, path, id, summary, tag string, status int, security ...string) huma.Operation {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{tag}, DefaultStatus: status,
		MaxBodyBytes: smallBody, BodyReadTimeout: 10 * time.Second,
	}
	for _, name := range security {
		op.Security = append(op.Security, map[string][]string{name: {}})
	}
	return op
}

// before turns away who may not use the verb before the body is read; the operation itself asks again.
func (s *server) before(v access.Verb) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		if _, _, err := s.may(c.Context(), v); err != nil {
			_, w := humachi.Unwrap(c)
			writeProblem(w, s.problem(c.Context(), err))
			return
		}
		next(c)
	}
}

// handle registers an operation; what goes wrong in it is translated here and nowhere else.
func handle[I, O any](s *server, op huma.Operation, fn func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := fn(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}
