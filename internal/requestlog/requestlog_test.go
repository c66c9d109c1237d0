package requestlog_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"demarc/internal/requestlog"
)

func serve(t *testing.T, h http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	w := httptest.NewRecorder()
	requestlog.Wrap(slog.New(slog.NewJSONHandler(&log, nil)), "request", h).ServeHTTP(w, r)
	return w, log.String()
}

func TestNoSecretIsLogged(t *testing.T) {
	const secret = "canary7secret"
	for _, target := range []string{
		"/provision/" + secret, "/provision/" + secret + "/more", "/sign-in?token=" + secret,
		"/connect/callback?code=" + secret + "&state=" + secret,
	} {
		r := httptest.NewRequest("GET", target, strings.NewReader(secret))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Cookie", "__Host-demarc="+secret)
		r.Header.Set("X-Correlation-Id", secret)
		w, log := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, r)
		if strings.Contains(log, secret) {
			t.Errorf("%s: %s", target, log)
		}
		if !strings.Contains(log, `"status":410`) || !strings.Contains(log, w.Header().Get(requestlog.Header)) {
			t.Errorf("%s: %s lacks the status or the correlation id", target, log)
		}
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	w, log := serve(t, func(http.ResponseWriter, *http.Request) { panic("broken handler") },
		httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "broken handler") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log, "broken handler") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Error(log)
	}
}

func TestIDReachesTheHandler(t *testing.T) {
	var seen string
	w, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { seen = requestlog.ID(r.Context()) },
		httptest.NewRequest("GET", "/", nil))
	if seen == "" || seen != w.Header().Get(requestlog.Header) {
		t.Errorf("handler saw %q, reply says %q", seen, w.Header().Get(requestlog.Header))
	}
}

func TestStreamsCanBeFlushed(t *testing.T) {
	w, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}, httptest.NewRequest("GET", "/", nil))
	if !w.Flushed {
		t.Error("nothing was flushed")
	}
}
