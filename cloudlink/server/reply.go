package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/oauth"
	"demarc/store"
)

// refusal returns an error reply of the API.
func refusal(status int, code, message string) *cloudlink.Error {
	return &cloudlink.Error{Status: status, Code: code, Message: message}
}

func invalid(field, message string) *cloudlink.Error {
	e := refusal(http.StatusBadRequest, "invalid_request", "the request has a fault: see errors")
	e.Errors = []cloudlink.FieldError{{Field: field, Message: message}}
	return e
}

func tooMany(wait time.Duration) *cloudlink.Error {
	e := refusal(http.StatusTooManyRequests, "rate_limited", "too many requests: wait as long as Retry-After says")
	e.RetryAfter = wait
	return e
}

func notFound() *cloudlink.Error {
	return refusal(http.StatusNotFound, "not_found",
		"there is no such resource in this account: check the path and the ids")
}

// replyTo translates any error into the one reply that its caller gets.
func (s *Server) replyTo(ctx context.Context, err error) *cloudlink.Error {
	var known *cloudlink.Error
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, cloudlink.ErrNotFound), errors.Is(err, oauth.ErrNotFound):
		return notFound()
	case errors.Is(err, cloudlink.ErrReadOnly):
		return refusal(http.StatusConflict, "pbx_read_only", cloudlink.ErrReadOnly.Error())
	case errors.As(err, &tooLong):
		return refusal(http.StatusRequestEntityTooLarge, "too_large", "the request body is too large")
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		s.log.ErrorContext(ctx, "store or PBX is away", "correlation", correlation(ctx), "error", err)
		e := refusal(http.StatusServiceUnavailable, "unavailable", "the service cannot answer now: try again")
		e.RetryAfter = 5 * time.Second
		return e
	case errors.Is(err, context.Canceled):
		return refusal(499, "client_gone", "the client went away")
	}
	s.log.ErrorContext(ctx, "request failed", "correlation", correlation(ctx), "error", err)
	return refusal(http.StatusInternalServerError, "internal", "the service failed: tell support the correlation id")
}

// fail sends an error reply.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := *s.replyTo(r.Context(), err)
	e.CorrelationID = correlation(r.Context())
	retryAfter(w, e.RetryAfter)
	s.send(w, r, e.Status, &e)
}

func retryAfter(w http.ResponseWriter, wait time.Duration) {
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// send writes JSON. Nothing of this API may be kept by a cache.
func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		s.log.ErrorContext(r.Context(), "reply cannot be encoded", "correlation", correlation(r.Context()), "error", err)
		status, encoded = http.StatusInternalServerError, []byte(`{"code":"internal","message":"the service failed"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(append(encoded, '\n')); err != nil {
		s.log.DebugContext(r.Context(), "client went away", slog.String("correlation", correlation(r.Context())))
	}
}
