package server

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
)

//go:embed pages
var pageFiles embed.FS

func parsePages() (*template.Template, error) { return template.ParseFS(pageFiles, "pages/*.html") }

// view is what a page shows.
type view struct {
	Style       string
	Self        string // address of the form
	App         string
	Home        string // host of the app
	Account     string
	Person      oauth.Person
	Scopes      []string
	Ticket      string
	Email       string
	Fault       string
	Correlation string
}

// show sends a page of an authorisation request.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, page string, ask asking, v view) {
	target, err := url.Parse(ask.params.Get("redirect_uri"))
	if err != nil { // a registered URI is sound
		s.failPage(w, r, err)
		return
	}
	v.Self, v.App, v.Home = ask.self(), ask.client.Name, target.Host
	// A form's answer may be a redirect, which browsers hold against form-action too.
	s.render(w, r, status, page, "'self' https://"+target.Host, v)
}

// failPage shows an error to a person. It never redirects.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	var refused *oauth.Error
	v, status := view{}, http.StatusBadRequest
	switch {
	case errors.As(err, &refused):
		v.Fault = "The app's request cannot be used: " + refused.Description + ". " +
			"Nothing was changed. Go back to the app and tell its makers if this happens again."
	case errors.Is(err, oauth.ErrTicket):
		v.Fault = "This form was already sent, or was open for too long. Nothing was changed by it now. " +
			"Go back to the app and connect again."
	default:
		e := s.replyTo(r.Context(), err)
		status, v.Fault = e.Status, e.Message
		retryAfter(w, e.RetryAfter)
	}
	s.render(w, r, status, "fault", "'none'", v)
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, page, formAction string, v view) {
	v.Style, v.Correlation = cloudlink.PathAuthentication+"/authorize.css", correlation(r.Context())
	var body bytes.Buffer
	if err := s.pages.ExecuteTemplate(&body, page+".html", v); err != nil {
		s.log.ErrorContext(r.Context(), "page cannot be shown", "page", page, "error", err)
		http.Error(w, "the service failed", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "+
		"form-action "+formAction)
	h.Set("X-Frame-Options", "DENY")
	// With no-referrer a browser would send "Origin: null" with the page's own form.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that went away needs no answer
}

// style sends the pages' style sheet.
func (s *Server) style(w http.ResponseWriter, r *http.Request) {
	css, err := pageFiles.ReadFile("pages/authorize.css")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(css)
}

// describe says in plain words what scopes allow.
func describe(scopes oauth.Scope) []string {
	words := map[string]string{
		cloudlink.ScopeRead:       "See the phone system, its users and their SIP endpoints",
		cloudlink.ScopeWrite:      "Change SIP credentials of users",
		cloudlink.ScopeCredential: "Fetch the SIP credentials that softphones sign in with",
		cloudlink.ScopeClients:    "Make and remove API clients of this account",
	}
	lines := make([]string, len(scopes))
	for i, name := range scopes {
		if lines[i] = words[name]; lines[i] == "" {
			lines[i] = name
		}
	}
	return lines
}

func minutes(d time.Duration) string {
	n := int(math.Ceil(d.Minutes()))
	if n == 1 {
		return "a minute"
	}
	return strconv.Itoa(n) + " minutes"
}
