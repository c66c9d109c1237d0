package requestlog

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"demarc/internal/account"
)

// Header carries the correlation id in every reply; a user tells it to support, who finds the line.
const Header = "X-Correlation-Id"

// StatusClientGone is what is logged of a request whose client hung up: that is no failure of ours, so no 5xx.
const StatusClientGone = 499

type contextKey struct{}

// ID returns the request's correlation id, or "".
func ID(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}

// Wrap logs each request of next under the name, once it is answered. A handler that panics is logged with its stack
// and answered with 500 when nothing was written yet; http.ErrAbortHandler goes on as net/http wants it.
func Wrap(log *slog.Logger, name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The id is always ours: one that the caller chose could forge or mix up lines.
		id, start := account.NewID("req"), time.Now()
		w.Header().Set(Header, id)
		rec := &recorder{ResponseWriter: w}
		ctx := context.WithValue(r.Context(), contextKey{}, id)
		defer func() {
			fault := recover()
			rec.finish(fault)
			level := slog.LevelInfo
			if rec.status >= 500 {
				level = slog.LevelError
			}
			attrs := []slog.Attr{
				slog.String("id", id), slog.String("method", r.Method), slog.String("path", Redact(r.URL.Path)),
				slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes), slog.String("remote", r.RemoteAddr),
				slog.Duration("took", time.Since(start)),
			}
			if fault != nil {
				attrs = append(attrs, slog.String("panic", fmt.Sprint(fault)), slog.String("stack", string(debug.Stack())))
			}
			log.LogAttrs(ctx, level, name, attrs...)
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
		}()
		next.ServeHTTP(rec, r.WithContext(ctx))
	})
}

// Redact hides one-time tokens that stand in a path.
func Redact(path string) string {
	const provision = "/provision/"
	if i := strings.Index(path, provision); i >= 0 {
		return path[:i+len(provision)] + "***"
	}
	return path
}

type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) finish(fault any) {
	if r.status != 0 {
		return
	}
	if fault == nil {
		r.status = http.StatusOK
		return
	}
	r.status = http.StatusInternalServerError
	if fault != http.ErrAbortHandler {
		http.Error(r.ResponseWriter, "something went wrong here; tell support the correlation id of this reply",
			http.StatusInternalServerError)
	}
}
