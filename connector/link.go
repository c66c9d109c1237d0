package connector

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
)

const (
	attemptLife = 10 * time.Minute
	// keepAttempts is how long a late sign-in is told "too late" rather than "not started here".
	keepAttempts = 24 * time.Hour
	// byDemarc is the actor of what no person did.
	byDemarc = "demarc"
)

// Begin starts a link for one browser session and returns where to send the browser.
func (s *Service) Begin(ctx context.Context, actor account.Member, session string, id ID) (string, error) {
	if err := s.needApp(ctx, actor.Account); err != nil {
		return "", err
	}
	c, _, err := s.Store.Connector(ctx, actor.Account, id)
	if err != nil {
		return "", err
	}
	// RFC 7636 §4.1 wants 43 to 128 characters: two tokens have 64.
	verifier := account.Secret(account.NewToken().Reveal() + account.NewToken().Reveal())
	state := account.NewToken()
	where, err := s.OAuth.AuthorizeURL(c.BaseURL, state.Reveal(), challenge(verifier))
	if err != nil {
		return "", err
	}
	now := s.Now()
	return where, s.Store.Begin(ctx, Attempt{
		Account: actor.Account, Connector: id, Member: actor.ID, Session: account.Secret(session).Hash(),
		State: state.Hash(), Verifier: verifier, ExpiresAt: now.Add(attemptLife),
	}, now.Add(-keepAttempts))
}

// challenge is the S256 code challenge (RFC 7636 §4.2).
func challenge(verifier account.Secret) string {
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Complete ends a link with what the browser brought back. It checks state, issuer, error, code and permission in this
// order; a failure changes nothing but burning the state.
func (s *Service) Complete(ctx context.Context, actor account.Member, session string, cb Callback,
) (Connector, Grant, error) {
	attempt, c, err := s.take(ctx, actor, session, cb)
	if err != nil {
		return Connector{}, Grant{}, err
	}
	if err := checkCallback(c, cb); err != nil {
		return c, Grant{}, err
	}
	tokens, err := s.OAuth.Exchange(ctx, c.BaseURL, cb.Code, attempt.Verifier.Reveal())
	if err != nil {
		return c, Grant{}, err
	}
	held, err := s.hold(ctx, actor, c, tokens)
	var replaced []Held
	if err == nil {
		replaced, err = s.Store.Link(ctx, held,
			s.event(c.Account, c.ID, string(actor.ID), held.Email+" authorised the link."))
	}
	if err != nil {
		s.revoke(ctx, c, tokens.Refresh)
		return c, Grant{}, err
	}
	for _, h := range replaced {
		s.revoke(ctx, c, h.Tokens.Refresh)
	}
	c, _, err = s.Store.Connector(ctx, c.Account, c.ID)
	return c, held.Grant, err
}

func (s *Service) take(ctx context.Context, actor account.Member, session string, cb Callback,
) (Attempt, Connector, error) {
	a, err := s.Store.Take(ctx, actor.Account, account.Secret(session).Hash(), account.Secret(cb.State).Hash())
	if err != nil {
		return Attempt{}, Connector{}, err
	}
	if a.Member != actor.ID {
		return Attempt{}, Connector{}, fmt.Errorf("%w: sign in here as the person who chose Connect", ErrStateUnknown)
	}
	if !s.Now().Before(a.ExpiresAt) {
		return Attempt{}, Connector{}, fmt.Errorf("%w: choose Connect again and finish within %v", ErrStateExpired,
			attemptLife)
	}
	c, _, err := s.Store.Connector(ctx, actor.Account, a.Connector)
	return a, c, err
}

// checkCallback looks at what the browser brought back. The issuer comes first: an error from a stranger says nothing
// (RFC 9207 §2.4: it must be there and equal, or the answer is not used).
func checkCallback(c Connector, cb Callback) error {
	if cb.Issuer != c.BaseURL {
		return fmt.Errorf("%w: expected %s, got %q", ErrWrongIssuer, c.BaseURL, clip(cb.Issuer))
	}
	switch cb.Error {
	case "":
	case "access_denied":
		return fmt.Errorf("%w: choose Connect again when the permission may be given", ErrConsentDenied)
	case "server_error", "temporarily_unavailable":
		return fmt.Errorf("%w: it answered %s; try again later", ErrUnreachable, cb.Error)
	default:
		return fmt.Errorf("%w: it answered %q (%s)", ErrCodeRefused, clip(cb.Error), clip(cb.ErrorDescription))
	}
	if cb.Code == "" {
		return fmt.Errorf("%w: the answer holds no code; choose Connect again", ErrCodeRefused)
	}
	return nil
}

// clip keeps a stranger's text short and printable.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}

// hold asks who signed in, and makes the grant when they may link the phone system.
func (s *Service) hold(ctx context.Context, actor account.Member, c Connector, t Tokens) (Held, error) {
	who, err := s.OAuth.WhoAmI(ctx, c.BaseURL, t.Access)
	if err != nil {
		return Held{}, err
	}
	if missing := missingScopes(who); len(missing) > 0 {
		return Held{}, fmt.Errorf("%w: %s lacks %s; sign in at the service as an admin with the permission "+
			"\"Phone System Integration\"", ErrWrongPermission, clip(who.Email), strings.Join(missing, ", "))
	}
	now := s.Now()
	return Held{
		Grant: Grant{
			Account: c.Account, Connector: c.ID, ID: account.NewID("gra"), Subject: who.UserID, Email: clip(who.Email),
			GrantedBy: actor.ID, GrantedAt: now, Generation: 1, ExpiresAt: t.ExpiresAt,
		},
		RemoteAccount: clip(who.AccountID), Tokens: t, RefreshAt: refreshAt(now, t.ExpiresAt),
	}, nil
}

func missingScopes(who cloudlink.WhoAmI) []string {
	have := strings.Fields(who.Scope)
	return slices.DeleteFunc([]string{cloudlink.ScopeRead, cloudlink.ScopeCredential}, func(need string) bool {
		return slices.Contains(have, need)
	})
}

// Disconnect ends every grant of the connector, and revokes it at the service when that can be reached.
func (s *Service) Disconnect(ctx context.Context, actor account.Member, id ID) error {
	c, _, err := s.Store.Connector(ctx, actor.Account, id)
	if err != nil {
		return err
	}
	ended, err := s.Store.Unlink(ctx, c.Account, id, "Disconnected by an admin: choose Connect to link it again.",
		s.event(c.Account, id, string(actor.ID), "Disconnected."))
	if err != nil {
		return err
	}
	for _, h := range ended {
		s.revoke(ctx, c, h.Tokens.Refresh)
	}
	return nil
}

// revoke tells the service that a token is not wanted any more. Nothing depends on it here, so a failure is only
// logged: the token ends by its own lifetime.
func (s *Service) revoke(ctx context.Context, c Connector, refresh account.Secret) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.OAuth.Revoke(ctx, c.BaseURL, refresh); err != nil && !errors.Is(err, ErrReauthorize) {
		s.Log.WarnContext(ctx, "a token could not be revoked at the service", "connector", c.ID, "error", err)
	}
}
