package connector

import (
	"context"

	"demarc/cloudlink"
	"demarc/internal/account"
)

// OAuth is the service's authorisation server as the link sees it. Exchange answers ErrCodeRefused for a bad code,
// Refresh answers ErrReauthorize for invalid_grant and nothing else; ErrUnreachable covers no answer, 429 and 5xx.
type OAuth interface {
	AuthorizeURL(base, state, challenge string) (string, error) // PKCE S256 (RFC 7636)
	Exchange(ctx context.Context, base, code, verifier string) (Tokens, error)
	Refresh(ctx context.Context, base string, refresh account.Secret) (Tokens, error)
	WhoAmI(ctx context.Context, base string, access account.Secret) (cloudlink.WhoAmI, error)
	Revoke(ctx context.Context, base string, refresh account.Secret) error
}
