package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// Config of a Server.
type Config struct {
	Issuer   string // https://host[:port]: where browsers and clients reach this service
	Accounts []Account
	Apps     []App
	Store    Store
	Limits   Limits
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: discarded
}

// Account is a tenant of the service.
type Account struct {
	ID                      account.ID
	Name                    string
	AccessTokenExpiryHours  int // 0: 1
	RefreshTokenExpiryHours int // 0: 2160 (90 days)
	PBX                     PBX
	Admins                  []Admin
}

// Admin is a person who may sign in. An address belongs to one account alone.
type Admin struct {
	Email        string
	Name         string
	Role         string // as GET /token shows it
	PasswordHash string // from HashPassword
	// PhoneSystemIntegration is the permission to link apps to the phone system.
	PhoneSystemIntegration bool
}

// App is an application known to the whole service: the admins of every account may link it.
type App struct {
	ID           string
	Name         string
	Secret       account.Secret
	RedirectURIs []string // compared whole
	Scopes       []string // the most it may ask for
}

// Limits bound what one caller may do. A zero means the default.
type Limits struct {
	RequestsPerSecond float64       // per client and account; 1000
	Burst             int           // 2000
	Window            time.Duration // over which attempts count; 15 min
	PerSource         int           // failed sign-ins from one address; 30
	PerEmail          int           // failed sign-ins for one email from anywhere; 60
	PerPair           int           // failed sign-ins for one email from one address; 6
}

// Store keeps the service's state; store/cloudlink implements it. The parts go to those who need them.
type Store interface {
	oauth.Grants
	oauth.Bearers
	oauth.Clients
	oauth.Sessions
	oauth.Links
	oauth.Audit
	// Sweep removes what has run out.
	Sweep(ctx context.Context, now time.Time) error
}

func (l Limits) withDefaults() Limits {
	for _, n := range []struct {
		value *int
		std   int
	}{{&l.Burst, 2000}, {&l.PerSource, 30}, {&l.PerEmail, 60}, {&l.PerPair, 6}} {
		if *n.value <= 0 {
			*n.value = n.std
		}
	}
	if l.RequestsPerSecond <= 0 {
		l.RequestsPerSecond = 1000
	}
	if l.Window <= 0 {
		l.Window = 15 * time.Minute
	}
	return l
}

func (c Config) check() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.String() != "https://"+u.Host {
		return fmt.Errorf("cloudlink issuer %q must be https://host[:port], without path or final slash", c.Issuer)
	}
	if c.Store == nil {
		return errors.New("cloudlink server needs a store")
	}
	for _, a := range c.Apps {
		if err := a.check(); err != nil {
			return err
		}
	}
	return nil
}

func (a App) check() error {
	if a.ID == "" || len(a.Secret.Reveal()) < 16 || len(a.RedirectURIs) == 0 || len(a.Scopes) == 0 {
		return fmt.Errorf("cloudlink app %q needs an id, a secret of at least 16 characters, redirect URIs and scopes", a.ID)
	}
	for _, s := range a.RedirectURIs {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" || strings.ContainsAny(s, " *;,'\"") {
			return fmt.Errorf("cloudlink app %q: redirect URI %q must be a whole https URL without fragment", a.ID, s)
		}
	}
	return nil
}

func (a App) client() oauth.Client {
	return oauth.Client{
		ID: a.ID, Name: a.Name, SecretHash: a.Secret.Hash(), RedirectURIs: a.RedirectURIs, Scopes: a.Scopes,
		Grants: []oauth.GrantType{oauth.AuthorizationCode, oauth.RefreshToken},
	}
}

func (a Account) lifetimes() oauth.Lifetimes {
	return oauth.Lifetimes{
		Access:  time.Duration(a.accessHours()) * time.Hour,
		Refresh: time.Duration(a.refreshHours()) * time.Hour,
	}
}

func (a Account) accessHours() int { return positiveOr(a.AccessTokenExpiryHours, 1) }

func (a Account) refreshHours() int { return positiveOr(a.RefreshTokenExpiryHours, 90*24) }

func positiveOr(n, std int) int {
	if n > 0 {
		return n
	}
	return std
}
