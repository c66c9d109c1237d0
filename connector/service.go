package connector

import (
	"context"
	"errors"
	"log/slog"
	"time"

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
}

// Store keeps connectors, links under way and grants.
type Store interface{}

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

var errUnwritten = errors.New("connector: this operation is not written yet")

// Install adds the app to the account; doing it again changes nothing.
func (s *Service) Install(ctx context.Context, actor account.Member) error { return errUnwritten }

// Installed reports whether the app is in the account.
func (s *Service) Installed(ctx context.Context, acc account.ID) (bool, error) {
	return false, errUnwritten
}

// Create makes an unlinked connector. baseURL is https://host[:port].
func (s *Service) Create(ctx context.Context, actor account.Member, name, baseURL string) (Connector, error) {
	return Connector{}, errUnwritten
}

// List returns the account's connectors by name.
func (s *Service) List(ctx context.Context, acc account.ID) ([]Connector, error) {
	return nil, errUnwritten
}

// Connector returns one connector with its grants, newest first.
func (s *Service) Connector(ctx context.Context, acc account.ID, id ID) (Connector, []Grant, error) {
	return Connector{}, nil, errUnwritten
}

// History returns what happened to a connector, newest first.
func (s *Service) History(ctx context.Context, acc account.ID, id ID, limit int) ([]Event, error) {
	return nil, errUnwritten
}

// Begin starts a link for one browser session and returns where to send the browser.
func (s *Service) Begin(ctx context.Context, actor account.Member, session string, id ID) (string, error) {
	return "", errUnwritten
}

// Complete ends a link with what the browser brought back. A failure changes nothing but burning the state.
func (s *Service) Complete(ctx context.Context, actor account.Member, session string, cb Callback,
) (Connector, Grant, error) {
	return Connector{}, Grant{}, errUnwritten
}

// Disconnect ends every grant of the connector and revokes it at the service when that can be reached.
func (s *Service) Disconnect(ctx context.Context, actor account.Member, id ID) error {
	return errUnwritten
}

// Token returns a working access token; it refreshes first when the token is about to expire.
func (s *Service) Token(ctx context.Context, acc account.ID, id ID) (account.Secret, error) {
	return "", errUnwritten
}

// RefreshDue refreshes every grant that is about to expire. The gateway calls it on a ticker.
func (s *Service) RefreshDue(ctx context.Context) error { return errUnwritten }
