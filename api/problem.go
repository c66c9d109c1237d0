package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/requestlog"
	"demarc/provisioning"
	"demarc/store"
	"demarc/telephony"
)

// Problem is the body of every error reply (RFC 9457). Code is stable; Detail is for people.
type Problem struct {
	Type   string       `json:"type" doc:"Always about:blank: code tells problems apart"`
	Title  string       `json:"title" doc:"The HTTP status in words"`
	Status int          `json:"status" doc:"The HTTP status"`
	Detail string       `json:"detail" doc:"What is wrong and what to do next"`
	Code   string       `json:"code" doc:"Stable name of the problem"`
	Errors []FieldError `json:"errors,omitempty" doc:"What is wrong with single fields or rows"`

	headers http.Header
}

// FieldError says what is wrong with one field of the request.
type FieldError struct {
	Location string `json:"location" doc:"The field, or the row and column of a file"`
	Message  string `json:"message"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status. It, GetHeaders and ContentType are the names by which huma asks.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the headers of the reply.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType returns the media type of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code, detail string) *Problem {
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code,
		headers: http.Header{},
	}
}

func (p *Problem) retryAfter(d time.Duration) *Problem {
	seconds := max(1, int((d+time.Second-1)/time.Second))
	p.headers.Set("Retry-After", strconv.Itoa(seconds))
	return p
}

// notFound is the 404 of nearly everything: none may tell what exists elsewhere.
func notFound() *Problem {
	return newProblem(http.StatusNotFound, "not_found", "There is nothing here that you may see.")
}

func unauthenticated() *Problem {
	p := newProblem(http.StatusUnauthorized, "unauthenticated",
		"Sign in, or send the device's token as \"Authorization: Bearer …\". If the token was refused, enrol again.")
	p.headers.Set("WWW-Authenticate", `Bearer realm="demarc"`)
	return p
}

type translation struct {
	err    error
	status int
	code   string
}

// plain lists the errors whose own text is the detail.
func plain() []translation {
	return []translation{
		{access.ErrForbidden, http.StatusForbidden, "forbidden"},
		{access.ErrNotFound, http.StatusNotFound, "not_found"},
		{access.ErrConflict, http.StatusConflict, "conflict"},
		{access.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
		{store.ErrText, http.StatusUnprocessableEntity, "invalid"},
		{telephony.ErrCallCursor, http.StatusUnprocessableEntity, "invalid"},
		{ErrNobody, http.StatusNotFound, "no_user"},
		{telephony.ErrNoCall, http.StatusNotFound, "not_found"},
		{telephony.ErrCallEnded, http.StatusConflict, "call_ended"},
		{telephony.ErrCallAway, http.StatusConflict, "other_node"},
		{telephony.ErrNoLeg, http.StatusConflict, "no_leg"},
		{telephony.ErrNotInBoth, http.StatusConflict, "not_in_both"},
		{provisioning.ErrConflict, http.StatusConflict, "conflict"},
		{provisioning.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
		{provisioning.ErrMassLoss, http.StatusConflict, "mass_loss"},
		{provisioning.ErrBusy, http.StatusConflict, "sync_running"},
		{connector.ErrNotInstalled, http.StatusConflict, "app_not_installed"},
		{connector.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
		{connector.ErrReauthorize, http.StatusConflict, "reauthorize"},
		{connector.ErrWrongPermission, http.StatusConflict, "wrong_permission"},
		{connector.ErrUnreachable, http.StatusBadGateway, "service_unreachable"},
	}
}

// problem translates an error of the rules. Only what nobody foresaw is logged: the reply does not say it.
func (s *server) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	var pending *provisioning.PendingError
	var refused *cloudlink.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled):
		return newProblem(requestlog.StatusClientGone, "client_gone", "The client ended the request before its answer.")
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusServiceUnavailable, "unavailable",
			"The store does not answer now. Nothing was changed; try again in some seconds.").retryAfter(5 * time.Second)
	case errors.Is(err, access.ErrNoSession):
		return unauthenticated()
	case errors.Is(err, provisioning.ErrNotFound), errors.Is(err, connector.ErrNotFound):
		return notFound()
	case errors.As(err, &pending):
		return newProblem(http.StatusConflict, "credential_pending", pending.Reason).retryAfter(30 * time.Second)
	case errors.Is(err, provisioning.ErrExpired):
		return newProblem(http.StatusGone, "code_spent",
			"This one-time code or link is not known, has expired or was already used. Ask your admin for a new one.")
	}
	for _, known := range plain() {
		if errors.Is(err, known.err) {
			return newProblem(known.status, known.code, err.Error())
		}
	}
	if errors.As(err, &refused) {
		return newProblem(http.StatusBadGateway, "service_refused", refused.Error())
	}
	s.Log.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("id", requestlog.ID(ctx)), slog.Any("error", err))
	return newProblem(http.StatusInternalServerError, "internal",
		"Something went wrong here. Tell support the correlation id of this reply: "+requestlog.ID(ctx))
}

// problemTransformer turns huma's own refusals (validation, size, media type) into problems. It leaves the offending
// value out: it may be a one-time code.
func problemTransformer(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := map[int]string{
		http.StatusBadRequest: "bad_request", http.StatusRequestEntityTooLarge: "too_large",
		http.StatusUnsupportedMediaType: "media_type", http.StatusUnprocessableEntity: "invalid",
		http.StatusRequestTimeout: "timeout", http.StatusNotAcceptable: "not_acceptable",
	}[m.Status]
	if code == "" {
		code = "internal"
	}
	p := newProblem(m.Status, code, m.Detail)
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, FieldError{Location: e.Location, Message: e.Message})
		}
	}
	return p, nil
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the reader has gone: nobody is left to tell
}

// describeProblems puts Problem into the description where huma wrote its own error model.
func describeProblems(o *huma.OpenAPI) {
	schema := o.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for _, path := range o.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Put, path.Delete} {
			if op == nil {
				continue
			}
			for _, reply := range op.Responses {
				if m := reply.Content["application/problem+json"]; m != nil {
					m.Schema = schema
				}
			}
		}
	}
	delete(o.Components.Schemas.Map(), "ErrorModel")
	delete(o.Components.Schemas.Map(), "ErrorDetail")
}
