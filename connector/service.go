package connector

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/singleflight"

	"demarc/internal/account"
)

// Config is what a Service stands on.
type Config struct {
	Store       Store
	OAuth       OAuth
	RedirectURI string
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger
}

// Service applies the rules of the link.
type Service struct {
	Config
	refreshes singleflight.Group
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Config: c}
}

// Install adds the app to the account; doing it again changes nothing.
func (s *Service) Install(ctx context.Context, actor account.Member) error {
	return s.Store.Install(ctx, actor.Account, actor.ID, s.Now())
}

// Installed reports whether the app is in the account.
func (s *Service) Installed(ctx context.Context, acc account.ID) (bool, error) {
	return s.Store.Installed(ctx, acc)
}

// Create makes an unlinked connector. baseURL is https://host[:port]. The app must be installed.
func (s *Service) Create(ctx context.Context, actor account.Member, name, baseURL string) (Connector, error) {
	if err := s.needApp(ctx, actor.Account); err != nil {
		return Connector{}, err
	}
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 100 {
		return Connector{}, fmt.Errorf("%w: give the connector a name of 1 to 100 characters", ErrInvalid)
	}
	origin, err := Origin(baseURL)
	if err != nil {
		return Connector{}, err
	}
	now := s.Now()
	c := Connector{
		Account: actor.Account, ID: ID(account.NewID("con")), Name: name, BaseURL: origin,
		CreatedAt: now, CreatedBy: actor.ID, ChangedAt: now,
		State: Unlinked, Reason: "Nobody has connected it yet: choose Connect and sign in at the service.",
	}
	return c, s.Store.Create(ctx, c, s.event(c.Account, c.ID, string(actor.ID), "Connector created for "+origin+"."))
}

// Origin returns a service's address in canonical form: https, lower-case host, no path.
func Origin(baseURL string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(baseURL))
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: the service's address is written https://host or https://host:port", ErrInvalid)
	}
	return "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443"), nil
}

// List returns the account's connectors by name.
func (s *Service) List(ctx context.Context, acc account.ID) ([]Connector, error) {
	return s.Store.List(ctx, acc)
}

// Connector returns one connector with its grants, newest first.
func (s *Service) Connector(ctx context.Context, acc account.ID, id ID) (Connector, []Grant, error) {
	return s.Store.Connector(ctx, acc, id)
}

// History returns what happened to a connector, newest first.
func (s *Service) History(ctx context.Context, acc account.ID, id ID, limit int) ([]Event, error) {
	return s.Store.History(ctx, acc, id, limit)
}

func (s *Service) needApp(ctx context.Context, acc account.ID) error {
	ok, err := s.Store.Installed(ctx, acc)
	if err == nil && !ok {
		err = fmt.Errorf("%w: install it first", ErrNotInstalled)
	}
	return err
}

func (s *Service) event(acc account.ID, id ID, actor, text string) Event {
	return Event{Account: acc, Connector: id, At: s.Now(), Actor: actor, Text: text}
}

const (
	keepEvents = 500
	keepEnded  = 365 * 24 * time.Hour
)

// Sweep removes what nobody needs any more, so that no table grows for ever. The gateway calls it now and then.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	return s.Store.Sweep(ctx, Kept{Attempts: now.Add(-keepAttempts), Grants: now.Add(-keepEnded), Events: keepEvents})
}
