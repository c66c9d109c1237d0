package cloudlinktest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// untold leaves expires_in out of answers with tokens while Untold is set, as a service may (RFC 6749 §5.1).
func (s *Service) untold(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !s.Untold.Load() {
			next.ServeHTTP(w, r)
			return
		}
		kept := httptest.NewRecorder()
		next.ServeHTTP(kept, r)
		body := kept.Body.Bytes()
		var answer map[string]any
		if json.Unmarshal(body, &answer) == nil && answer["access_token"] != nil {
			delete(answer, "expires_in")
			body, _ = json.Marshal(answer) // as it was read
		}
		for name, values := range kept.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(kept.Code)
		_, _ = w.Write(body) // who has gone needs none
	})
}
