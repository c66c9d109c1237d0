package portal

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/requestlog"
)

// Config is what the pages stand on.
type Config struct {
	Access       Access
	Provisioning Provisioning
	Connectors   Connectors
	Sync         Syncer
	Log          *slog.Logger
	Now          func() time.Time
	// Done ends the streams that keep pages fresh, when it is closed: a graceful stop would wait for them.
	Done <-chan struct{}
	// Refresh is how often an open page looks for changes; 1 s when zero.
	Refresh time.Duration
}

const (
	formBody   = 64 << 10
	importBody = 2 << 20
	// streams bounds the pages that are kept fresh at once; the next ones show themselves without.
	streams = 500
)

type server struct {
	Config
	pages   *pages
	streams chan struct{}
}

// page answers one request of a signed-in member; what it returns as error is shown as a page.
type page func(w http.ResponseWriter, r *http.Request, p access.Principal) error

// New returns the handler of every page.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Refresh == 0 {
		c.Refresh = time.Second
	}
	s := &server{Config: c, pages: newPages(c.Now), streams: make(chan struct{}, streams)}
	mux := http.NewServeMux()
	s.routes(mux)
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, access.Principal{}, errCrossOrigin)
	}))
	return requestlog.Wrap(c.Log, "portal", secureHeaders(guard.Handler(mux)))
}

func (s *server) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /assets/{name}", s.pages.asset)
	mux.HandleFunc("GET /sign-in", s.signInPage)
	mux.HandleFunc("POST /sign-in", s.signIn)
	for pattern, h := range map[string]page{
		"GET /{$}":                                 s.users,
		"GET /live":                                s.usersLive,
		"POST /users":                              s.addUser,
		"GET /users/{id}":                          s.user,
		"GET /users/{id}/live":                     s.userLive,
		"POST /users/{id}/code":                    s.issueCode,
		"POST /users/{id}/document":                s.issueDocument,
		"POST /users/{id}/sync":                    s.syncUser,
		"POST /users/{id}/remove":                  s.removeUser,
		"POST /users/{id}/devices/{device}/revoke": s.revokeDevice,
		"GET /connectors":                          s.connectors,
		"POST /connectors":                         s.createConnector,
		"POST /app":                                s.install,
		"POST /connectors/{id}/connect":            s.connect,
		"POST /connectors/{id}/disconnect":         s.disconnect,
		"POST /sync":                               s.syncNow,
		"GET /connect/callback":                    s.callback,
		"GET /import":                              s.importPage,
		"POST /import":                             s.importDryRun,
		"POST /import/apply":                       s.importApply,
		"GET /members":                             s.members,
		"POST /members":                            s.addMember,
		"POST /sign-out":                           s.signOut,
		"/":                                        s.nothing,
	} {
		mux.HandleFunc(pattern, s.signedIn(h))
	}
}

func (s *server) nothing(http.ResponseWriter, *http.Request, access.Principal) error {
	return errNoPage
}

// signedIn lets members through; everybody else is sent to the sign-in page.
func (s *server) signedIn(h page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil {
			limit := int64(formBody)
			if r.URL.Path == "/import" || r.URL.Path == "/import/apply" {
				limit = 2 * importBody // base64 and form encoding make it longer
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		p, err := s.Access.Authenticate(r.Context(), cookieOf(r))
		if errors.Is(err, access.ErrNoSession) && r.Method == http.MethodGet && r.URL.Path != callbackPath {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		if err == nil {
			err = h(w, r, p)
		}
		if err != nil {
			s.refuse(w, r, p, err)
		}
	}
}

// SessionCookie holds the session. The __Host- prefix ties it to this very host over HTTPS.
const SessionCookie = "__Host-demarc"

func cookieOf(r *http.Request) account.Secret {
	c, err := r.Cookie(SessionCookie)
	if err != nil {
		return ""
	}
	return account.Secret(c.Value)
}

// setCookie: SameSite is Lax and not Strict, since the OAuth callback is a navigation that another site starts.
func setCookie(w http.ResponseWriter, value account.Secret, maxAge time.Duration) {
	seconds := int(maxAge / time.Second)
	if value == "" {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie, Value: value.Reveal(), Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
