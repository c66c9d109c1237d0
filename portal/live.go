package portal

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// beat keeps proxies from closing a quiet stream, and is when the session is looked at again.
	beat = 15 * time.Second
	// stall is how long a reader may take for one write.
	stall = 10 * time.Second
)

// live sends a part of a page again whenever it has changed (server-sent events), until the reader goes, the session
// ends or the process stops. A look that fails is not the end: the page keeps what it shows.
func (s *server) live(w http.ResponseWriter, r *http.Request, render func(context.Context) (string, error)) error {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		http.Error(w, "too many pages are open; this one refreshes when you load it again",
			http.StatusServiceUnavailable)
		return nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := stream{w: w, c: http.NewResponseController(w)}
	look, pulse := time.NewTicker(s.Refresh), time.NewTicker(beat)
	defer look.Stop()
	defer pulse.Stop()
	last := ""
	for {
		if part, err := render(r.Context()); err == nil && part != last {
			if last = part; out.send("fresh", part) != nil {
				return nil
			}
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-s.Done:
			return nil
		case <-pulse.C:
			if _, err := s.Access.Peek(r.Context(), cookieOf(r)); err != nil {
				_ = out.send("end", "")
				return nil
			}
			if out.send("beat", "") != nil {
				return nil
			}
		case <-look.C:
		}
	}
}

type stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (o stream) send(event, text string) error {
	_ = o.c.SetWriteDeadline(time.Now().Add(stall)) // not every writer has deadlines; a test's has none
	var b strings.Builder
	fmt.Fprintf(&b, "event: %s\n", event)
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString("data: " + strings.TrimRight(line, "\r") + "\n")
	}
	b.WriteString("\n")
	if _, err := o.w.Write([]byte(b.String())); err != nil {
		return err
	}
	err := o.c.Flush()
	// HTTP/2 resets a stream whose deadline passes, even when nothing is being written.
	_ = o.c.SetWriteDeadline(time.Time{})
	return err
}
