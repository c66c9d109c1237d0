package provisioning

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// Config is what a Service stands on.
type Config struct {
	Store     Store
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger
	ServerURL string // https://host:port that devices reach
	CAPEM     []byte // the private CA that documents and handouts carry; empty with a public certificate
	CADER     []byte // the same for the enrolment link
}

// Service applies the rules of provisioning.
type Service struct {
	Config
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.ServerURL = strings.TrimRight(c.ServerURL, "/")
	return &Service{Config: c}
}

const (
	keepEntries = 500
	keepRuns    = 200
	keepGone    = 365 * 24 * time.Hour
)

// Sweep removes what nobody needs any more, so that no table grows for ever. The gateway calls it now and then.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	return s.Store.Sweep(ctx, Kept{
		Tickets: now.Add(-keepTickets), Entries: keepEntries, Gone: now.Add(-keepGone), Runs: keepRuns,
	})
}

// bounded keeps a page size between 1 and most; 0 is the usual one.
func bounded(n, usual, most int) int {
	if n <= 0 {
		return usual
	}
	return min(n, most)
}

// clip keeps a stranger's text storable and short.
func clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
