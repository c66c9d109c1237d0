package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"demarc/internal/account"
)

// Config of an Authority.
type Config struct {
	Apps    []Client // the service's own apps; accounts' clients are in Clients
	Grants  Grants
	Bearers Bearers
	Clients Clients
	// Lifetimes of the tokens of an account.
	Lifetimes func(account.ID) Lifetimes
	// Active reports whether a person still stands behind the grants that they gave.
	Active func(acc account.ID, subject string) bool
	Now    func() time.Time
	Log    *slog.Logger
}

// Lifetimes come from the account; they are fixed into a grant when it is given.
type Lifetimes struct {
	Access  time.Duration
	Refresh time.Duration
}

// Authority decides over codes and tokens.
type Authority struct {
	cfg  Config
	apps map[string]Client
}

// New returns an Authority.
func New(cfg Config) *Authority {
	a := &Authority{cfg: cfg, apps: make(map[string]Client, len(cfg.Apps))}
	for _, app := range cfg.Apps {
		a.apps[app.ID] = app
	}
	return a
}

// Client finds a client by its id; ErrNotFound.
func (a *Authority) Client(ctx context.Context, id string) (Client, error) {
	if app, ok := a.apps[id]; ok {
		return app, nil
	}
	if id == "" || len(id) > 64 || printable(id) != id {
		return Client{}, ErrNotFound
	}
	return a.cfg.Clients.Client(ctx, id)
}

// Authenticate finds a client by its id and secret. All failures look alike.
func (a *Authority) Authenticate(ctx context.Context, id string, secret account.Secret) (Client, error) {
	client, err := a.Client(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Client{}, err
	}
	if !equal(client.SecretHash, secret.Hash()) {
		return Client{}, refuse(InvalidClient, "client id or secret is wrong")
	}
	return client, nil
}

// Approve makes a code for a person's consent. The ticket must be the one of the form that they sent.
func (a *Authority) Approve(ctx context.Context, p Person, r Request, t Ticket, audit AuditEntry) (
	account.Secret, error) {
	code, now := account.NewToken(), a.cfg.Now()
	life := a.cfg.Lifetimes(p.Account)
	t.Request = r.Digest()
	err := a.cfg.Grants.Approve(ctx, Approval{
		Ticket: t, Grant: account.NewID("grant"), Client: r.Client.ID, Subject: p.ID, Scope: r.Scope,
		RedirectURI: r.RedirectURI, Challenge: r.Challenge, CodeHash: code.Hash(), CodeExpires: now.Add(CodeLifetime),
		AccessLifetime: life.Access, RefreshLifetime: life.Refresh, At: now, Audit: audit,
	})
	if err != nil {
		return "", err
	}
	return code, nil
}

// Bearer finds what an access token allows; ErrNotFound if it does not live, or the person or app behind it no longer may.
func (a *Authority) Bearer(ctx context.Context, token account.Secret) (Access, error) {
	access, err := a.cfg.Bearers.Access(ctx, token.Hash(), a.cfg.Now())
	if err != nil {
		return Access{}, err
	}
	if !a.stands(access.Account, access.Subject, access.Client) {
		return Access{}, fmt.Errorf("%w: the person who gave it may no longer", ErrNotFound)
	}
	if access.Subject == access.Client { // an account's client, whose grants end with it
		return access, nil
	}
	app, ok := a.apps[access.Client]
	if !ok {
		return Access{}, fmt.Errorf("%w: the app is no longer known here", ErrNotFound)
	}
	access.Scope = access.Scope.Cut(app.Scopes) // as it may ask for today
	return access, nil
}

// stands reports whether somebody still answers for a grant: a client for its own, a person for theirs.
func (a *Authority) stands(acc account.ID, subject, client string) bool {
	return subject == client || a.cfg.Active(acc, subject)
}

// Grant answers a token request of an authenticated client (RFC 6749 §4.1.3, §4.4, §6).
func (a *Authority) Grant(ctx context.Context, c Client, params url.Values) (Pair, error) {
	if err := single(params); err != nil {
		return Pair{}, err
	}
	grant := GrantType(params.Get("grant_type"))
	switch grant {
	case "":
		return Pair{}, refuse(InvalidRequest, "grant_type is missing")
	case AuthorizationCode, RefreshToken, ClientCredentials:
	default:
		return Pair{}, refuse(UnsupportedGrantType,
			"use grant_type authorization_code, refresh_token or client_credentials")
	}
	if !c.May(grant) {
		return Pair{}, refuse(UnauthorizedClient, "this client may not use grant_type "+string(grant))
	}
	switch grant {
	case AuthorizationCode:
		return a.exchange(ctx, c, params)
	case RefreshToken:
		return a.refresh(ctx, c, params)
	default:
		return a.issue(ctx, c, params)
	}
}
