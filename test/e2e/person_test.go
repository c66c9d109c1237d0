package e2e_test

import (
	"io"
	"net/http"
)

// stream opens a page's stream of events.
func (s *site) stream(path string) io.ReadCloser {
	s.t.Helper()
	reply, err := s.owner.Client.Do(s.owner.Request(http.MethodGet, s.gateway.URL()+path, nil))
	if err != nil {
		s.t.Fatal(err)
	}
	if kind := reply.Header.Get("Content-Type"); kind != "text/event-stream" {
		s.t.Fatalf("%s is %q", path, kind)
	}
	return reply.Body
}
