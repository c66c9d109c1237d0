package oauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"time"

	"demarc/internal/account"
)

// Pair is what a token request gave. Refresh is empty for client_credentials.
type Pair struct {
	Access    account.Secret
	Refresh   account.Secret
	ExpiresIn time.Duration // of the access token
	Scope     Scope
}

func (a *Authority) exchange(ctx context.Context, c Client, params url.Values) (Pair, error) {
	verifier := params.Get("code_verifier")
	switch {
	case params.Get("code") == "" || params.Get("redirect_uri") == "":
		return Pair{}, refuse(InvalidRequest, "code and redirect_uri must be given")
	case !validVerifier(verifier):
		return Pair{}, refuse(InvalidRequest, "code_verifier must be given, with 43 to 128 characters (RFC 7636 section 4.1)")
	}
	pair, now := Pair{Access: account.NewToken(), Refresh: account.NewToken()}, a.cfg.Now()
	issued, verdict, err := a.cfg.Grants.Redeem(ctx, CodeUse{
		CodeHash: account.Secret(params.Get("code")).Hash(), Client: c.ID, RedirectURI: params.Get("redirect_uri"),
		Challenge: challengeOf(verifier), AccessHash: pair.Access.Hash(), RefreshHash: pair.Refresh.Hash(), At: now,
	})
	if err != nil {
		return Pair{}, err
	}
	if verdict != Accepted {
		a.alarm(ctx, c, issued, verdict, "authorization code")
		return Pair{}, refuse(InvalidGrant, "the code is unknown, expired, already used, or not for this request: "+
			"start the sign-in again")
	}
	return a.deliver(ctx, c, pair, issued, now)
}

func (a *Authority) refresh(ctx context.Context, c Client, params url.Values) (Pair, error) {
	// The CloudLink-like API takes the token under either name.
	old := account.Secret(params.Get("refresh_token"))
	if old == "" {
		old = account.Secret(params.Get("token"))
	}
	if old == "" {
		return Pair{}, refuse(InvalidRequest, "refresh_token is missing")
	}
	salt, now := account.NewToken(), a.cfg.Now()
	pair := derive(old, salt)
	issued, verdict, err := a.cfg.Grants.Rotate(ctx, Rotation{
		TokenHash: old.Hash(), Client: c.ID, Salt: salt, AccessHash: pair.Access.Hash(),
		RefreshHash: pair.Refresh.Hash(), Scope: ParseScope(params.Get("scope")), At: now,
	})
	if err != nil {
		return Pair{}, err
	}
	switch verdict {
	case Accepted:
		return a.deliver(ctx, c, pair, issued, now)
	case Replayed:
		return a.deliver(ctx, c, derive(old, issued.Salt), issued, now)
	case TooWide:
		return Pair{}, refuse(InvalidScope, "scope asks for more than was granted")
	}
	a.alarm(ctx, c, issued, verdict, "refresh token")
	return Pair{}, refuse(InvalidGrant, "the refresh token is unknown, expired, revoked or already used: "+
		"an admin must authorise the app again")
}

func (a *Authority) issue(ctx context.Context, c Client, params url.Values) (Pair, error) {
	scope := ParseScope(params.Get("scope"))
	if len(scope) == 0 {
		scope = ParseScope(Scope(c.Scopes).String())
	}
	if !scope.Within(c.Scopes) {
		return Pair{}, refuse(InvalidScope, "this client may not ask for all of these scopes")
	}
	pair, now := Pair{Access: account.NewToken(), Scope: scope}, a.cfg.Now()
	pair.ExpiresIn = a.cfg.Lifetimes(c.Account).Access
	err := a.cfg.Grants.Issue(ctx, Issue{
		Account: c.Account, Grant: account.NewID("grant"), Client: c.ID, Scope: scope,
		AccessHash: pair.Access.Hash(), AccessLifetime: pair.ExpiresIn, At: now,
	})
	return pair, err
}

// Revoke ends a token of the client (RFC 7009). An unknown token is no error (§2.2); another client's is.
func (a *Authority) Revoke(ctx context.Context, c Client, params url.Values) error {
	if err := single(params); err != nil {
		return err
	}
	token := account.Secret(params.Get("token"))
	if token == "" {
		return refuse(InvalidRequest, "token is missing")
	}
	verdict, err := a.cfg.Grants.Revoke(ctx, token.Hash(), c.ID, a.cfg.Now())
	if err == nil && verdict == Foreign {
		return refuse(InvalidGrant, "the token was not issued to this client")
	}
	return err
}

// deliver hands a pair out, unless the person behind the grant no longer may: then the grant ends here.
func (a *Authority) deliver(ctx context.Context, c Client, pair Pair, i Issued, now time.Time) (Pair, error) {
	if !a.stands(i.Account, i.Subject, c.ID) {
		if _, err := a.cfg.Grants.Revoke(ctx, pair.Refresh.Hash(), c.ID, now); err != nil {
			return Pair{}, err
		}
		return Pair{}, refuse(InvalidGrant,
			"the admin who gave this authorisation no longer may: another admin must authorise the app again")
	}
	pair.Scope, pair.ExpiresIn = i.Scope, i.ExpiresAt.Sub(now)
	return pair, nil
}

// alarm tells operators of a reuse: somebody may hold a copy of a token.
func (a *Authority) alarm(ctx context.Context, c Client, i Issued, v Verdict, what string) {
	switch v {
	case Reused:
		a.cfg.Log.WarnContext(ctx, what+" was used again: its grant has been ended, an admin must authorise again",
			"event", "connector.reauthorizationRequired", "account", i.Account, "client", c.ID, "grant", i.Grant)
	case Foreign:
		a.cfg.Log.WarnContext(ctx, what+" of another client was presented", "client", c.ID, "grant", i.Grant)
	}
}

// derive makes the pair that follows a refresh token. The salt alone gives nothing without the old token, of which only
// the hash is kept.
func derive(old, salt account.Secret) Pair {
	return Pair{Access: label(old, salt, "access"), Refresh: label(old, salt, "refresh")}
}

func label(old, salt account.Secret, name string) account.Secret {
	mac := hmac.New(sha256.New, []byte(old.Reveal()))
	mac.Write([]byte(name + ":" + salt.Reveal()))
	return account.Secret(base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}
