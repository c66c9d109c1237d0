package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/account"
)

var _ connector.OAuth = (*Client)(nil)

// config describes a service to golang.org/x/oauth2.
func (c *Client) config(base string) (*oauth2.Config, error) {
	u, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	root := u.String() + cloudlink.PathAuthentication
	return &oauth2.Config{
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret.Reveal(), RedirectURL: c.cfg.RedirectURI,
		Scopes: c.cfg.Scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL: root + "/authorize", TokenURL: root + "/token",
			AuthStyle: oauth2.AuthStyleInHeader, // set, because finding out by trial would send a code twice
		},
	}, nil
}

// AuthorizeURL returns where to send the admin's browser. challenge is the S256 of a PKCE verifier (RFC 7636).
func (c *Client) AuthorizeURL(base, state, challenge string) (string, error) {
	conf, err := c.config(base)
	if err != nil {
		return "", err
	}
	return conf.AuthCodeURL(state, oauth2.SetAuthURLParam("code_challenge", challenge),
		oauth2.SetAuthURLParam("code_challenge_method", "S256")), nil
}

// Exchange turns a code into tokens; connector.ErrCodeRefused if the service does not take the code.
func (c *Client) Exchange(ctx context.Context, base, code, verifier string) (connector.Tokens, error) {
	return c.tokens(ctx, base, connector.ErrCodeRefused,
		func(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
			return conf.Exchange(ctx, code, oauth2.VerifierOption(verifier))
		})
}

// Refresh turns a refresh token into new tokens; connector.ErrReauthorize if the service does not take it any more.
func (c *Client) Refresh(ctx context.Context, base string, refresh account.Secret) (connector.Tokens, error) {
	return c.tokens(ctx, base, connector.ErrReauthorize,
		func(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
			return conf.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh.Reveal()}).Token()
		})
}

// tokens asks the token endpoint once. invalid is what invalid_grant means here.
func (c *Client) tokens(ctx context.Context, base string, invalid error,
	ask func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (connector.Tokens, error) {
	conf, err := c.config(base)
	if err != nil {
		return connector.Tokens{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	token, err := ask(context.WithValue(ctx, oauth2.HTTPClient, c.http), conf)
	if err != nil {
		return connector.Tokens{}, c.tokenError(err, invalid)
	}
	expires, ok := c.expiry(token)
	if token.RefreshToken == "" || !ok || !strings.EqualFold(token.Type(), "Bearer") {
		return connector.Tokens{}, &unusable{cause: errors.New("no refresh token, a lifetime that cannot be meant, or not a bearer token")}
	}
	scope, _ := token.Extra("scope").(string)
	return connector.Tokens{
		Access: account.Secret(token.AccessToken), Refresh: account.Secret(token.RefreshToken), ExpiresAt: expires, Scope: scope,
	}, nil
}

// How long an access token lives of which the service does not say so: expires_in is recommended, and not required (RFC 6749 §5.1). It is
// short, so that the token is renewed before nearly any service takes it for expired. A longer life than a year is a mistake.
const (
	untoldLife  = 5 * time.Minute
	longestLife = 366 * 24 * time.Hour
)

// expiry returns when an access token ends; false for a lifetime of nothing, less, or far too much.
func (c *Client) expiry(token *oauth2.Token) (time.Time, bool) {
	told := token.Extra("expires_in")
	if told == nil || told == "" {
		return c.cfg.Now().Add(untoldLife), true
	}
	return token.Expiry, token.ExpiresIn > 0 && token.ExpiresIn <= int64(longestLife/time.Second)
}

// tokenError translates what golang.org/x/oauth2 says. The answer's body is not kept: it may hold tokens.
func (c *Client) tokenError(err, invalid error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return fmt.Errorf("%w: %w", connector.ErrUnreachable, err)
	}
	e := c.errorOf(refused.Response, refused.Body)
	if refused.ErrorCode != "" {
		e.Code, e.Message = refused.ErrorCode, refused.ErrorDescription
	}
	switch {
	case e.Code == "invalid_grant":
		return fmt.Errorf("%w: %w", invalid, e)
	case e.Status == http.StatusTooManyRequests, e.Status >= 500, e.Status < 400:
		return fmt.Errorf("%w: %w", connector.ErrUnreachable, e)
	}
	// invalid_client and the like are faults of the configuration: no grant ends for them.
	return fmt.Errorf("the service refuses this app (client id, secret, scopes or redirect URI): %w", e)
}

// WhoAmI asks whom an access token belongs to.
func (c *Client) WhoAmI(ctx context.Context, base string, access account.Secret) (cloudlink.WhoAmI, error) {
	u, err := parseBase(base)
	if err != nil {
		return cloudlink.WhoAmI{}, err
	}
	var who cloudlink.WhoAmI
	err = c.get(ctx, u.String()+cloudlink.PathAuthentication+"/token", access, &who)
	return who, err
}

// Revoke ends a grant by its refresh token (RFC 7009).
func (c *Client) Revoke(ctx context.Context, base string, refresh account.Secret) error {
	u, err := parseBase(base)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	form := url.Values{"token": {refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String()+cloudlink.PathAuthentication+"/revoke",
		strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%w: %w", connector.ErrInvalid, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret.Reveal())) // RFC 6749 §2.3.1
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", connector.ErrUnreachable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return c.refused(res)
	}
	return nil
}
